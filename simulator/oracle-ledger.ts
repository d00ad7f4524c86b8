/**
 * The ledger of a run against the events topic: is everything that was acknowledged there, and nothing there more often
 * than it was sent?
 *
 * A message is known by device, device time and content. Rows of a recording can be alike in all three, so each is
 * counted, not merely looked up. It reads the ledger by itself and shares no code with what wrote it.
 */
import { readFileSync } from "node:fs";
import type { MetricValue } from "../events/schema.ts";
import type { OracleReading } from "./oracle.ts";

/** A reading as it stands in the events topic. */
export interface ArrivedReading extends OracleReading {
  /** Event id, `epoch-sequence`: unique within the gateway. */
  readonly id: string;
}

export interface LedgerMessage {
  readonly device: string;
  /** As the payload said, ms since 1970; undefined where it said none. */
  readonly time: number | undefined;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** When it was first written, ms since 1970. */
  readonly at: number;
  /** How often it was written to a socket. */
  writes: number;
  acknowledged: boolean;
}

export interface SentLedger {
  readonly messages: readonly LedgerMessage[];
  /** Given up by the devices before they were ever sent. */
  readonly dropped: number;
  /** The run came to its end; otherwise the ledger's last moments may be missing. */
  readonly complete: boolean;
  /** `fleet`, `replay` or `scenario`. */
  readonly kind: string;
  readonly scenario: string | undefined;
  readonly seed: number | undefined;
  /** Those that the run is to be judged by, as they stand there; undefined where it says none. */
  readonly rules: readonly unknown[] | undefined;
  /** From the first line to the last, ms since 1970. */
  readonly from: number;
  readonly to: number;
}

export interface LedgerVerdict<Arrived = ArrivedMessage> {
  /** Nothing missing, changed, surplus or unknown. */
  readonly ok: boolean;
  readonly sent: number;
  readonly acknowledged: number;
  /** Distinct events that belong to a message of the ledger. */
  readonly arrived: number;
  /** Distinct events beyond the first of a message that was written more than once: at-least-once at work. */
  readonly resentArrived: number;
  /** Records with an id that was there before; processors drop them. */
  readonly redelivered: number;
  /** Acknowledged, and not there. */
  readonly missing: readonly LedgerMessage[];
  /** More distinct events than the message was written. */
  readonly surplus: readonly { readonly message: LedgerMessage; readonly times: number }[];
  /** There under a device and time that were sent, but with another content. */
  readonly changed: readonly {
    readonly message: LedgerMessage;
    readonly arrived: Arrived;
  }[];
  /** There, and not in the ledger at all. */
  readonly unknown: readonly Arrived[];
}

/** Each event once, by gateway and id, in the order of the first. */
export function distinctReadings<Item extends Pick<ArrivedReading, "gateway" | "id">>(
  records: Iterable<Item>,
): Item[] {
  const distinct = new Map<string, Item>();
  for (const record of records) {
    const key = `${record.gateway} ${record.id}`;
    if (!distinct.has(key)) distinct.set(key, record);
  }
  return [...distinct.values()];
}

/** @throws where a line that is not the last cannot be read, or a line speaks of a message that was never sent */
export function readLedger(file: string): SentLedger {
  return parseLedger(readFileSync(file, "utf8"));
}

export function parseLedger(text: string): SentLedger {
  const lines = text.split("\n");
  // What follows the last line break is nothing, or a line that a kill cut off.
  lines.pop();
  const [first = "{}", ...others] = lines;
  const header = JSON.parse(first);
  if (header.t !== "ledger" || header.version !== 2) throw new Error("not a ledger of version 2");
  const begun: number = header.at;
  const messages = new Map<number, LedgerMessage>();
  const names = new Map<number, { readonly d: string; readonly m: readonly string[] }>();
  let dropped = 0;
  let complete = false;
  let to = begun;
  for (const [index, line] of others.entries()) {
    const entry = JSON.parse(line);
    const where = `ledger line ${index + 2}`;
    const message = (n: number) => {
      const known = messages.get(n);
      if (!known) throw new Error(`${where}: message ${n} was never sent`);
      return known;
    };
    switch (entry.t ?? entry[0]) {
      case "device":
        names.set(entry.i, entry);
        break;
      case "s": {
        const [, n, at, i, when, ...values] = entry;
        const name = names.get(i);
        if (!name) throw new Error(`${where}: device ${i} has no name`);
        const told: number | null = Array.isArray(when) ? when[0] : when;
        const metrics = Object.fromEntries(name.m.map((metric, k) => [metric, values[k]]));
        messages.set(n, {
          device: name.d,
          time: told === null ? undefined : begun + told,
          metrics,
          at: begun + at,
          writes: 1,
          acknowledged: false,
        });
        to = Math.max(to, begun + at);
        break;
      }
      case "r":
      case "f":
        message(entry[1]).writes += 1;
        to = Math.max(to, begun + entry[2]);
        break;
      case "a":
        for (const n of entry.slice(2)) message(n).acknowledged = true;
        to = Math.max(to, begun + entry[1]);
        break;
      case "x":
        dropped += entry[3];
        break;
      case "end":
        complete = true;
        to = Math.max(to, begun + entry.at);
        break;
      default:
        throw new Error(`${where}: unknown ${JSON.stringify(entry.t ?? entry[0])}`);
    }
  }
  const { kind, scenario, seed, rules } = header;
  const known = { kind, scenario, seed, rules, from: begun, to };
  return { messages: [...messages.values()], dropped, complete, ...known };
}

/** A reading of the events topic, with the time that its device gave it, if it did. */
export interface ArrivedMessage extends Omit<ArrivedReading, "time"> {
  readonly time: number | undefined;
}

/**
 * @param records the readings of the events topic, duplicates included; only the devices of the ledger, or `unknown` will
 * hold the others
 */
export function checkLedger<Arrived extends ArrivedMessage>(
  ledger: Pick<SentLedger, "messages">,
  records: Iterable<Arrived>,
): LedgerVerdict<Arrived> {
  const all = [...records];
  const distinct = distinctReadings(all);
  const verdict = {
    missing: [] as LedgerMessage[],
    surplus: [] as { message: LedgerMessage; times: number }[],
    changed: [] as { message: LedgerMessage; arrived: Arrived }[],
    unknown: [] as Arrived[],
    resentArrived: 0,
  };
  // Device by device: the words by which messages are known take far more memory than the messages.
  const sent = Map.groupBy(ledger.messages, ({ device }) => device);
  const arrived = Map.groupBy(distinct, ({ device }) => device);
  for (const device of new Set([...sent.keys(), ...arrived.keys()])) {
    checkDevice(sent.get(device) ?? [], arrived.get(device) ?? [], verdict);
  }
  const { missing, surplus, changed, unknown } = verdict;
  return {
    ok: missing.length + surplus.length + changed.length + unknown.length === 0,
    sent: ledger.messages.length,
    acknowledged: ledger.messages.filter((message) => message.acknowledged).length,
    arrived: distinct.length - changed.length - unknown.length,
    redelivered: all.length - distinct.length,
    ...verdict,
  };
}

function checkDevice<Arrived extends ArrivedMessage>(
  all: readonly LedgerMessage[],
  there: readonly Arrived[],
  verdict: {
    missing: LedgerMessage[];
    surplus: { message: LedgerMessage; times: number }[];
    changed: { message: LedgerMessage; arrived: Arrived }[];
    unknown: Arrived[];
    resentArrived: number;
  },
): void {
  const sent = groups(all);
  const arrived = groups(there);
  for (const [key, messages] of sent) {
    const times = arrived.get(key)?.length ?? 0;
    const acknowledged = messages.filter((message) => message.acknowledged);
    verdict.missing.push(...acknowledged.slice(times));
    const writes = messages.reduce((total, message) => total + message.writes, 0);
    const [message] = messages;
    if (message && times > writes) verdict.surplus.push({ message, times });
    verdict.resentArrived += Math.max(0, Math.min(times, writes) - messages.length);
  }
  const strangers = there.filter((reading) => !sent.has(identity(reading)));
  if (strangers.length === 0) return;
  const timed = all.filter(({ time }) => time !== undefined);
  const byMoment = new Map(timed.map((message) => [message.time, message]));
  for (const reading of strangers) {
    const message = byMoment.get(reading.time);
    if (message) verdict.changed.push({ message, arrived: reading });
    else verdict.unknown.push(reading);
  }
}

interface Identified {
  readonly device: string;
  readonly time: number | undefined;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

function identity({ device, time, metrics }: Identified): string {
  const content = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([device, time, content]);
}

function groups<Item extends Identified>(items: Iterable<Item>): Map<string, Item[]> {
  const found = new Map<string, Item[]>();
  for (const item of items) {
    const key = identity(item);
    const group = found.get(key);
    if (group) group.push(item);
    else found.set(key, [item]);
  }
  return found;
}
