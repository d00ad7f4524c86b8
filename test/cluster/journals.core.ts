/**
 * The events topic against what the gateways told of: every acknowledged reading is there, unchanged, in order; and each
 * journal is nothing but the batches that were handed over, whole, in their order, each at most once for each time that it was
 * handed over. So what stands twice was in flight when its gateway was killed, and stands there as it was.
 */
import type { Reading } from "../../events/schema.ts";
import { auditJournal } from "../../simulator/oracle-audit.ts";
import {
  type JournalEvent,
  type JournalRecord,
  journalEvents,
} from "../../simulator/oracle-journal.ts";
import { contentOf } from "./content.core.ts";
import type { Handed, Told, ToldOf } from "./told.core.ts";

export interface JournalVerdict {
  readonly problems: readonly string[];
  readonly acknowledged: number;
  /** Distinct readings in the topic. */
  readonly readings: number;
  /** Records that stand there again, and batches of them. */
  readonly repeats: number;
  readonly repeatedBatches: number;
}

/** @param events the events topic, partition by partition in the order of the log */
export function judgeJournals(
  seed: number,
  told: Told,
  events: readonly JournalRecord[],
): JournalVerdict {
  const problems: string[] = [];
  const audit = auditJournal(events, [], { still: true });
  for (const { gateway, kind, message } of audit.faults) {
    problems.push(`${gateway}: ${kind}: ${message}`);
  }
  for (const [gateway, epochs] of audit.gateways) {
    for (const { epoch, reason, declared } of epochs) {
      if (reason !== "first-start") problems.push(`${gateway}: epoch ${epoch} began by ${reason}`);
      if (declared.length > 0) problems.push(`${gateway}: losses are declared: ${declared}`);
    }
  }
  const journals = Map.groupBy(journalEvents(events), ({ gateway }) => gateway);
  let acknowledged = 0;
  let readings = 0;
  let repeats = 0;
  let repeatedBatches = 0;
  for (const gateway of new Set([...told.keys(), ...journals.keys()])) {
    const of = told.get(gateway) ?? { handed: [], acknowledged: [] };
    const journal = journals.get(gateway) ?? [];
    const distinct = new Map(journal.map((event) => [event.id, event]));
    repeats += journal.length - distinct.size;
    const own = readingsOf(distinct.values());
    readings += own.length;
    problems.push(...changedReadings(seed, gateway, own));
    const there = acknowledgedReadings(of, distinct);
    acknowledged += there.acknowledged;
    problems.push(...there.problems.map((text) => `${gateway}: ${text}`));
    const batches = inBatches(
      of.handed,
      journal.map(({ id }) => id),
    );
    repeatedBatches += batches.repeated;
    if (batches.problem) problems.push(`${gateway}: ${batches.problem}`);
  }
  return { problems, acknowledged, readings, repeats, repeatedBatches };
}

function readingsOf(events: Iterable<JournalEvent>): JournalEvent<Reading>[] {
  return [...events].filter(
    (one): one is JournalEvent<Reading> => one.type === "tidegate.reading" && !one.record.fault,
  );
}

function changedReadings(
  seed: number,
  gateway: string,
  readings: readonly JournalEvent<Reading>[],
): string[] {
  return readings.flatMap(({ id, data }) => {
    const number = Number(data?.metrics.number);
    const { device, metrics } = contentOf(seed, gateway, number);
    const same =
      data?.device === device && data.metrics.temperature === metrics.temperature && number > 0;
    return same ? [] : [`${gateway}: ${id} has another content: ${JSON.stringify(data)}`];
  });
}

function acknowledgedReadings(
  { acknowledged }: ToldOf,
  events: ReadonlyMap<string, JournalEvent>,
): { readonly acknowledged: number; readonly problems: readonly string[] } {
  const problems: string[] = [];
  let count = 0;
  for (const one of acknowledged) {
    count += one.count;
    for (let at = 0; at < one.count; at += 1) {
      const id = `${one.epoch}-${one.from + at}`;
      const found = events.get(id);
      const number = one.number + at;
      if (!found) problems.push(`lost: ${id}, reading ${number}, was acknowledged`);
      else if ((found.data as Reading | undefined)?.metrics?.number !== number) {
        problems.push(`${id} was acknowledged as reading ${number}, and is another`);
      }
    }
  }
  return { acknowledged: count, problems };
}

/**
 * Reads the journal as the batches that were handed over. The last of a life may have been written or not, which decides
 * nothing by itself: all ways to read on are kept until only those that fit are left.
 * @param ids the journal, in the order of the log
 */
export function inBatches(
  handed: readonly Handed[],
  ids: readonly string[],
): { readonly problem?: string; readonly repeated: number } {
  /** How far the journal can be read, and how many batches were read again on the way. */
  let ways = new Map([[0, { repeated: 0 }]]);
  const firstPlace = new Map(ids.map((id, at) => [id, at] as const).toReversed());
  for (const [index, batch] of handed.entries()) {
    const next = new Map<number, { repeated: number }>();
    const interrupted = handed[index + 1] === undefined || handed[index + 1]?.life !== batch.life;
    for (const [at, way] of ways) {
      if (interrupted) next.set(at, way);
      const end = at + batch.to - batch.from + 1;
      if (!stands(batch, ids, at)) continue;
      const again = (firstPlace.get(`${batch.epoch}-${batch.from}`) ?? at) < at ? 1 : 0;
      next.set(end, { repeated: way.repeated + again });
    }
    if (next.size === 0) {
      const [at] = [...ways.keys()].toSorted((a, b) => b - a);
      const there = ids.slice(at, (at ?? 0) + 3).join(", ") || "its end";
      const { epoch, from, to, life } = batch;
      const problem = `batch ${epoch}-${from} to ${to} of life ${life} does not stand whole and in its place: there is ${there}`;
      return { problem, repeated: 0 };
    }
    ways = next;
  }
  const done = ways.get(ids.length);
  if (done) return { repeated: done.repeated };
  const [furthest = 0] = [...ways.keys()].toSorted((a, b) => b - a);
  const problem = `${ids[furthest]} stands behind all that was handed over, or again in the middle`;
  return { problem, repeated: 0 };
}

function stands({ epoch, from, to }: Handed, ids: readonly string[], at: number): boolean {
  for (let sequence = from; sequence <= to; sequence += 1) {
    if (ids[at + sequence - from] !== `${epoch}-${sequence}`) return false;
  }
  return true;
}
