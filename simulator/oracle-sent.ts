/**
 * From the devices' side: is everything that was acknowledged in the journal with its very value, or inside a declared loss; is
 * nothing there more often than the device itself sent it as a message of its own, nothing that nobody sent, and does it
 * stand in the order in which it was sent? It shares no code with the product.
 *
 * A reading is known by gateway, device, time and content. Readings may be alike in all of them (one without a time, of a thing
 * that stands still), so each is counted and not merely looked up. An acknowledgement names no sequence: what is declared
 * lost explains as many absences of its gateway as it has positions.
 */
import type { MetricValue, Reading } from "../events/schema.ts";
import { auditJournal } from "./oracle-audit.ts";
import { distinctEvents, type JournalRecord } from "./oracle-journal.ts";
import { countIn } from "./oracle-ranges.ts";

/** One PUBLISH of a reading. */
export interface SentWrite {
  /** Over which of the device's connections; counts up. */
  readonly connection: number;
  /** Counts all writes of the device. */
  readonly order: number;
  readonly qos: 0 | 1 | 2;
  readonly messageId: number;
  readonly dup: boolean;
  /** A message of its own: the first sending, or a second one on purpose. */
  readonly fresh: boolean;
}

export interface SentReading {
  /** Key of the journal in which it must stand. */
  readonly gateway: string;
  readonly device: string;
  /** As the payload says; undefined where it has none. */
  readonly time: number | undefined;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** In the order of sending. */
  readonly writes: readonly SentWrite[];
  readonly acknowledged: boolean;
}

export interface StoredReading {
  readonly gateway: string;
  readonly id: string;
  readonly device: string;
  readonly time: number | undefined;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** Place among the distinct events of the log. */
  readonly at: number;
}

export interface SentVerdict {
  /** Nothing missing, surplus, changed, unknown or out of order. */
  readonly ok: boolean;
  readonly sent: number;
  readonly acknowledged: number;
  /** Distinct events that belong to a reading that was sent. */
  readonly arrived: number;
  /** Of them, those beyond the first of a reading: messages that came twice and were kept as two. */
  readonly repeated: number;
  /** Acknowledged, not there, and explained by a declared loss. */
  readonly declaredLost: number;
  /** Acknowledged, not there, and of a gateway that has declared fewer positions lost than readings are not there. */
  readonly missing: readonly SentReading[];
  /** There more often than sent. */
  readonly surplus: readonly { readonly reading: SentReading; readonly times: number }[];
  /** There under a device and time that were sent, but with another content. */
  readonly changed: readonly {
    readonly reading: SentReading;
    readonly stored: StoredReading;
  }[];
  readonly unknown: readonly StoredReading[];
  /** Sent one before the other over one connection, and stored the other way round. */
  readonly order: readonly {
    readonly first: SentReading;
    readonly second: SentReading;
  }[];
}

export interface SentOptions {
  /**
   * Sendings that must be recognised as a message that came before, if that came; `promisedRecognitions` says which
   * docs/mqtt.md promises. Without it each sending may be stored.
   */
  readonly recognised?: ReadonlySet<SentWrite>;
  /** Positions of each gateway that nobody is left to declare lost: its disk is gone. They explain as many absences. */
  readonly gone?: ReadonlyMap<string, number>;
}

/**
 * @param sent every reading that was written at least once; one that was never written may not be there
 * @param records the events topic in the order of the log
 */
export function checkSent(
  sent: readonly SentReading[],
  records: readonly JournalRecord[],
  options: SentOptions = {},
): SentVerdict {
  const stored = storedReadings(records);
  const arrived = Map.groupBy(stored, identity);
  const groups = Map.groupBy(sent, identity);

  const absent = new Map<string, SentReading[]>();
  const surplus: { reading: SentReading; times: number }[] = [];
  let repeated = 0;
  for (const [key, readings] of groups) {
    const times = arrived.get(key)?.length ?? 0;
    const [reading] = readings as [SentReading];
    const acknowledged = readings.filter((one) => one.acknowledged);
    const list = absent.get(reading.gateway) ?? [];
    list.push(...acknowledged.slice(times));
    absent.set(reading.gateway, list);
    const messages = readings.flatMap(({ writes }) =>
      writes.filter((write) => write.fresh || !options.recognised?.has(write)),
    );
    if (times > messages.length) surplus.push({ reading, times });
    repeated += Math.max(0, times - readings.length);
  }

  const missing: SentReading[] = [];
  let declaredLost = 0;
  const someAbsent = [...absent.values()].some(({ length }) => length > 0);
  const { gateways } = auditJournal(someAbsent ? records : []);
  for (const [gateway, readings] of absent) {
    const epochs = gateways.get(gateway) ?? [];
    const declared = epochs.reduce(
      (sum, epoch) => sum + countIn(epoch.declared),
      options.gone?.get(gateway) ?? 0,
    );
    if (readings.length > declared) missing.push(...readings);
    else declaredLost += readings.length;
  }

  const strangers = [...arrived].flatMap(([key, some]) => (groups.has(key) ? [] : some));
  const byMoment = new Map(
    sent.filter(({ time }) => time !== undefined).map((one) => [moment(one), one]),
  );
  const changed: { reading: SentReading; stored: StoredReading }[] = [];
  const unknown: StoredReading[] = [];
  for (const one of strangers) {
    const reading = byMoment.get(moment(one));
    if (reading) changed.push({ reading, stored: one });
    else unknown.push(one);
  }
  const order = outOfOrder(groups, arrived);
  const faults = [missing, surplus, changed, unknown, order];
  return {
    ok: faults.every(({ length }) => length === 0),
    sent: sent.length,
    acknowledged: sent.filter(({ acknowledged }) => acknowledged).length,
    arrived: stored.length - strangers.length,
    repeated,
    declaredLost,
    missing,
    surplus,
    changed,
    unknown,
    order,
  };
}

/** The readings of the journals, each event once. */
export function storedReadings(records: readonly JournalRecord[]): StoredReading[] {
  return [...distinctEvents(records).entries()].flatMap(([at, { gateway, id, type, data }]) => {
    if (type !== "tidegate.reading" || data === undefined) return [];
    const { device, time, metrics } = data as Reading;
    return [{ gateway, id, device, time, metrics, at }];
  });
}

/**
 * "Readings of one connection stand in the journal in the order in which they were sent": those that can be told from all others,
 * were written once and stand there once.
 */
function outOfOrder(
  groups: ReadonlyMap<string, readonly SentReading[]>,
  arrived: ReadonlyMap<string, readonly StoredReading[]>,
) {
  const lines = new Map<string, { reading: SentReading; order: number; at: number }[]>();
  for (const [key, readings] of groups) {
    const [reading, second] = readings as [SentReading, SentReading?];
    const [stored, again] = arrived.get(key) ?? [];
    const [write, resent] = reading.writes;
    if (second || !stored || again || !write || resent) continue;
    const line = JSON.stringify([reading.gateway, reading.device, write.connection]);
    const list = lines.get(line) ?? [];
    list.push({ reading, order: write.order, at: stored.at });
    lines.set(line, list);
  }
  const turned: { first: SentReading; second: SentReading }[] = [];
  for (const list of lines.values()) {
    list.sort((a, b) => a.order - b.order);
    for (const [index, { reading, at }] of list.entries()) {
      const next = list[index + 1];
      if (next && next.at < at) turned.push({ first: reading, second: next.reading });
    }
  }
  return turned;
}

type Identified = Pick<SentReading, "gateway" | "device" | "time" | "metrics">;

function moment({ gateway, device, time }: Identified): string {
  return JSON.stringify([gateway, device, time]);
}

function identity({ gateway, device, time, metrics }: Identified): string {
  const content = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([gateway, device, time ?? null, content]);
}
