/**
 * From the devices' side: is every reading that was acknowledged in the journal with its very value, or declared lost, and
 * none there more often than its device has sent it as a message of its own?
 */
import type { Loss, Reading } from "../../events/schema.ts";
import { distinctEvents, type JournalRecord, journalEvents } from "../oracle-journal.ts";
import { clockText } from "./record.ts";
import type { SentEntry } from "./world.ts";

/** Readings are told apart by their number, the metric `n` of their device. */
export function checkSent(
  sent: readonly SentEntry[],
  events: readonly JournalRecord[],
): readonly string[] {
  const problems: string[] = [];
  const arrived = new Map<string, { readonly gateway: string; readonly reading: Reading }[]>();
  // Where the first of them gave way for room, a needless repetition is the first that stands there.
  const repeated = new Set<string>();
  for (const { reading, writes } of sent) {
    if (writes.some(({ late }) => late)) repeated.add(`${reading.device} ${reading.n}`);
  }
  /** Highest number so far of each device. */
  const highest = new Map<string, number>();
  for (const { gateway, type, data } of distinctEvents(events)) {
    if (type !== "tidegate.reading" || !data) continue;
    const reading = data as Reading;
    const n = Number(reading.metrics.n);
    const key = `${reading.device} ${n}`;
    const list = arrived.get(key);
    const before = highest.get(reading.device) ?? 0;
    // A repetition comes late; what comes for the first time does not overtake.
    if (!list && n < before && !repeated.has(key))
      problems.push(`${key} stands behind ${before} in the journal`);
    highest.set(reading.device, Math.max(before, n));
    if (list) list.push({ gateway, reading });
    else arrived.set(key, [{ gateway, reading }]);
  }
  const missing = new Map<string, SentEntry[]>();
  for (const entry of sent) {
    const { reading, gateway, qos, acknowledged } = entry;
    const key = `${reading.device} ${reading.n}`;
    const found = arrived.get(key) ?? [];
    arrived.delete(key);
    if (found.length === 0 && acknowledged && qos > 0) {
      missing.set(gateway, [...(missing.get(gateway) ?? []), entry]);
    }
    const most = mostOf(entry);
    if (found.length > most) {
      problems.push(`${key} counts ${found.length} times, its device sent it as ${most}`);
    }
    for (const { gateway: at, reading: got } of found) {
      const same = text(got) === text(reading);
      if (!same) problems.push(`${key} is ${text(got)}, its device sent ${text(reading)}`);
      if (at !== gateway) problems.push(`${key} stands in the journal of ${at}, not of ${gateway}`);
    }
  }
  for (const key of arrived.keys()) problems.push(`${key} was never sent`);
  const declared = declaredOf(events);
  for (const [gateway, entries] of missing) {
    const room = declared.get(gateway) ?? 0;
    if (entries.length <= room) continue;
    const [first] = entries;
    problems.push(
      `${gateway}: ${entries.length} acknowledged readings are not in the journal, ${room} are declared lost; the first: ${first ? story(first) : ""}`,
    );
  }
  return problems;
}

function story({ reading, writes, acknowledgedAt }: SentEntry): string {
  const times = writes.map(({ at, fresh }) => `${fresh ? "sent" : "sent again"} ${clockText(at)}`);
  const end = acknowledgedAt === undefined ? "" : `, acknowledged ${clockText(acknowledgedAt)}`;
  return `${reading.device} ${reading.n}: ${times.join(", ")}${end}`;
}

/** How often it may count: docs/mqtt.md says which repetitions are told. */
function mostOf({ qos, persistent, writes }: SentEntry): number {
  const told = qos === 0 || persistent || qos === 2;
  return writes.filter(({ fresh, needless }) => fresh || needless || !told).length;
}

/** Positions of each gateway that stand as declared losses and did not come all the same. */
function declaredOf(events: readonly JournalRecord[]): ReadonlyMap<string, number> {
  const declared = new Map<string, number>();
  for (const { gateway, type, data } of journalEvents(events)) {
    if (type !== "tidegate.loss" || !data) continue;
    const { from, to } = data as Loss;
    declared.set(gateway, (declared.get(gateway) ?? 0) + to - from + 1);
  }
  return declared;
}

/** As JSON has it: there is no minus zero. */
function text(reading: {
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly time?: number | undefined;
}): string {
  const { metrics, time } = reading;
  const names = Object.keys(metrics).sort();
  return JSON.stringify({ time, metrics: names.map((name) => [name, metrics[name]]) });
}
