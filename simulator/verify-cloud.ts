/**
 * What the cloud's topics hold, sorted on disk into the parts of a ledger: for each part the view that `verifyParts` wants.
 *
 * Readings, windows and alerts go to the part of their device. What is no reading belongs to a gateway, and is given to
 * every part with readings of it. The order of the log is kept by a number on each line.
 */
import { keyParts } from "../events/ids.ts";
import type { Alert, Heartbeat, Reading, Stamp } from "../events/schema.ts";
import type { LedgerParts } from "./ledger-parts.ts";
import type { OracleRollup } from "./oracle.ts";
import { isTimeless } from "./oracle-clock.ts";
import { type JournalRecord, journalEvent } from "./oracle-journal.ts";
import type { CloudView, RunPart } from "./verify.ts";
import { forgetGarbage } from "./verify-memory.ts";
import { SeenSequences } from "./verify-seen.ts";
import { Spill } from "./verify-spill.ts";

/** Events that are read between two collections. */
const GARBAGE_EVENTS = 100_000;

interface Placed {
  /** Place in the log. */
  readonly at: number;
  readonly record: JournalRecord;
}

export class CloudParts {
  readonly #ledger: LedgerParts;
  readonly #keepHours: CloudView["keepHours"];
  readonly #readings: Spill;
  readonly #others: Spill;
  readonly #rollups: Spill;
  readonly #alerts: Spill;
  readonly #states: Spill;
  readonly #gateways = new Map<string, number>();
  /** Gateways of which a device of the ledger has said something. */
  readonly #begun = new Set<string>();
  /** The boot of each gateway's last event that was kept. */
  readonly #boots = new Map<string, string | undefined>();
  readonly #seen = new SeenSequences();
  #at = 0;

  constructor(ledger: LedgerParts, directory: string, keepHours: CloudView["keepHours"]) {
    this.#ledger = ledger;
    this.#keepHours = keepHours;
    this.#readings = new Spill(directory, "readings");
    this.#others = new Spill(directory, "others");
    this.#rollups = new Spill(directory, "rollups");
    this.#alerts = new Spill(directory, "alerts");
    this.#states = new Spill(directory, "states");
  }

  /** Of the events topic, in the order of the log. */
  event(record: JournalRecord): void {
    const { key, type, data } = record;
    const event = journalEvent(record);
    if (key === null || typeof event !== "object") return;
    this.#at += 1;
    if (this.#at % GARBAGE_EVENTS === 0) forgetGarbage();
    // Whether it is the first of its id cannot be known later: the first may be of a device in another part.
    const { gateway, epoch, sequence } = event;
    const again = type !== "tidegate.loss" && this.#seen.again(`${gateway} ${epoch}`, sequence);
    const line = JSON.stringify([this.#at, again, lean(record)]);
    const reading = type === "tidegate.reading" && data !== undefined ? (data as Reading) : null;
    const part = reading ? this.#ledger.partOf(reading.device) : undefined;
    if (part !== undefined) {
      this.#begun.add(key);
      this.#readings.add(part, line);
    }
    if (reading ? isTimeless(reading) : this.#tells(key, record)) {
      this.#others.add(this.#gatewayOf(key), line);
    }
  }

  rollup(key: string, rollup: OracleRollup | null): void {
    const part = this.#partOfKey(key);
    if (part === undefined) return;
    if (rollup === null) this.#rollups.add(part, JSON.stringify([key, null]));
    else {
      const { gateway, device, metric, resolution, window, count, min, max, sum } = rollup;
      const bare = { gateway, device, metric, resolution, window, count, min, max, sum };
      this.#rollups.add(part, JSON.stringify([key, bare]));
    }
  }

  /** Of the alerts topic, in its order. */
  alert(alert: Alert): void {
    const part = this.#ledger.partOf(alert.device);
    if (part !== undefined) this.#alerts.add(part, JSON.stringify(alert));
  }

  state(key: string, alert: Alert | null): void {
    const part = this.#partOfKey(key);
    if (part !== undefined) this.#states.add(part, JSON.stringify([key, alert]));
  }

  *parts(): Generator<RunPart> {
    for (let part = 0; part < this.#ledger.count; part += 1) {
      if (part > 0) forgetGarbage();
      yield {
        messages: this.#ledger.messages(part),
        cloud: {
          journal: this.#journal(part),
          rollups: newest<OracleRollup>(this.#rollups.lines(part)),
          alerts: [...this.#alerts.lines(part)].map((line) => JSON.parse(line) as Alert),
          states: newest<Alert>(this.#states.lines(part)),
          keepHours: this.#keepHours,
        },
      };
    }
  }

  #journal(part: number): JournalRecord[] {
    const own = placed(this.#readings.lines(part));
    const gateways = new Set(own.map(({ record }) => record.key ?? ""));
    const there = new Set(own.map(({ at }) => at));
    const others = [...gateways].flatMap((gateway) => {
      const heap = this.#gateways.get(gateway);
      if (heap === undefined) return [];
      return placed(this.#others.lines(heap)).filter(({ at }) => !there.has(at));
    });
    return [...own, ...others].sort((a, b) => a.at - b.at).map(({ record }) => record);
  }

  /**
   * A heartbeat before all readings of the run's devices says nothing about them, but that of a boot's beginning: a log may
   * have years of them.
   */
  #tells(gateway: string, { type, data }: JournalRecord): boolean {
    const { boot } = (data ?? {}) as Partial<Stamp>;
    const beat = type === "tidegate.heartbeat" && data !== undefined;
    const old = beat && !this.#begun.has(gateway) && (data as Heartbeat).clock !== "unsynced";
    if (old && this.#boots.get(gateway) === boot) return false;
    this.#boots.set(gateway, boot);
    return true;
  }

  #gatewayOf(gateway: string): number {
    const known = this.#gateways.get(gateway) ?? this.#gateways.size;
    this.#gateways.set(gateway, known);
    return known;
  }

  /** Keys of windows and of alerts both have the device behind the first stroke. */
  #partOfKey(key: string): number | undefined {
    return this.#ledger.partOf(keyParts(key)[1] ?? "");
  }
}

/** Only what the oracles ask for. */
function lean({ key, partition, offset, timestamp, headers, type, data }: JournalRecord) {
  const { ce_id, ce_source } = headers;
  return { key, partition, offset, timestamp, headers: { ce_id, ce_source }, type, data };
}

/** What stands there again is left out where the first of it is another part's. */
function placed(lines: Iterable<string>): Placed[] {
  const all: Placed[] = [];
  const again: Placed[] = [];
  for (const line of lines) {
    const [at, isAgain, record] = JSON.parse(line) as [number, boolean, JournalRecord];
    const one = { at, record };
    all.push(one);
    if (isAgain) again.push(one);
  }
  if (again.length === 0) return all;
  const idOf = ({ record }: Placed) => `${record.key} ${record.headers.ce_id}`;
  const repeated = new Set(again);
  const ids = new Set(again.map(idOf));
  const firsts = new Set(
    all
      .filter((one) => !repeated.has(one))
      .map(idOf)
      .filter((id) => ids.has(id)),
  );
  return all.filter((one) => !repeated.has(one) || firsts.has(idOf(one)));
}

function newest<Value>(lines: Iterable<string>): Value[] {
  const found = new Map<string, Value>();
  for (const line of lines) {
    const [key, value] = JSON.parse(line) as [string, Value | null];
    if (value === null) found.delete(key);
    else found.set(key, value);
  }
  return [...found.values()];
}
