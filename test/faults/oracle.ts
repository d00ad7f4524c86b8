/**
 * What the devices know against what the log holds: `acknowledged − (forwarded ∪ declared lost) = ∅`, nothing with
 * another value, nothing more often than it was sent. It is asked once the buffer has drained, so that nothing is "still buffered".
 *
 * A PUBACK names no sequence, so a declared loss `[from, to]` does not say which readings it speaks of. But a device's
 * readings stand in the journal in its order: a missing reading was between two of its neighbours that are there, and
 * only a declared sequence between those two can be its own. Each missing reading is given one declared sequence
 * and no sequence is given twice; a reading for which none is left is lost.
 */
import type { JournalEvent, JournalReading } from "./journal.ts";
import { contentOf, type SentReading } from "./publisher.ts";

export interface Verdict {
  readonly sent: number;
  readonly acknowledged: number;
  /** Sent readings that are in the log. */
  readonly arrived: number;
  /** Acknowledged, not there, and covered by a declared loss. */
  readonly declared: number;
  /** Distinct events beyond the first of a reading that was written more than once. */
  readonly resent: number;
  /** Records with an id that was there before, and the same content: processors drop them. */
  readonly redelivered: number;
  /** Declared sequences that no reading of the devices can have been, written or not: the gateway's own events, or too many. */
  readonly overdeclared: number;
  /** Declared sequences whose event is in the log all the same. */
  readonly declaredYetThere: number;
  /** Epochs of the journal, in their order. */
  readonly epochs: readonly string[];
  /** What must not be, in words; empty where the promise is kept. */
  readonly faults: readonly string[];
  /** Readings that are lost without a word. */
  readonly lost: number;
}

export interface Allowed {
  /** Declared sequences that may be there all the same: a batch in flight when the store was damaged. */
  readonly declaredYetThere?: number;
  /** Declared sequences beyond the readings: heartbeats, epochs and clocks of the gateway itself. */
  readonly overdeclared?: number;
}

/** Faults of one sort told in words; the rest are counted. */
const TOLD = 3;

export function judge(
  sent: readonly SentReading[],
  journal: readonly JournalEvent[],
  allowed: Allowed = {},
): Verdict {
  const faults: string[] = [];
  const tell = (what: string, items: readonly string[]) => {
    if (items.length === 0) return;
    const more = items.length > TOLD ? ` and ${items.length - TOLD} more` : "";
    faults.push(`${what}: ${items.slice(0, TOLD).join("; ")}${more}`);
  };

  const { distinct, redelivered, conflicting } = distinctEvents(journal);
  tell("one id with two contents", conflicting);
  const epochs = epochOrder(distinct);
  const place = placer(epochs);

  const byNumber = new Map(sent.map((reading) => [reading.n, reading]));
  const arrivals = new Map<number, number[]>();
  const changed: string[] = [];
  for (const event of distinct) {
    if (event.type !== "reading") continue;
    const n = Number(event.content.n);
    const wanted = byNumber.get(n);
    if (!wanted || wanted.device !== event.device || !sameContent(event.content, contentOf(n))) {
      changed.push(`${where(event)} of ${event.device}: ${JSON.stringify(event.content)}`);
      continue;
    }
    const places = arrivals.get(n);
    if (places) places.push(place(event));
    else arrivals.set(n, [place(event)]);
  }
  tell("nothing that was sent", changed);

  const surplus: string[] = [];
  let resent = 0;
  for (const [n, places] of arrivals) {
    const writes = byNumber.get(n)?.writes ?? 0;
    if (places.length > writes)
      surplus.push(`${n} is there ${places.length} times, ${writes} sent`);
    resent += places.length - 1;
  }
  tell("more often than sent", surplus);

  const slots = declaredSlots(distinct, place);
  const there = new Set(distinct.filter((event) => event.type !== "loss").map(place));
  const declaredYetThere = slots.filter((slot) => there.has(slot)).length;
  if (declaredYetThere > (allowed.declaredYetThere ?? 0)) {
    faults.push(`declared lost and there all the same: ${declaredYetThere}`);
  }
  const free = slots.filter((slot) => !there.has(slot));

  const missing = missingReadings(sent, arrivals);
  const { unmatched, left } = match(missing, free);
  tell(
    "acknowledged and lost without a word",
    unmatched.map(({ n, device }) => `${n} of ${device}`),
  );

  tell("no such sequences, and nobody says why", holes(distinct, epochs));

  // What was written and never acknowledged may have been stored all the same, once for each writing.
  let unknowable = 0;
  for (const { n, writes, acknowledged } of sent) {
    const certain = arrivals.get(n)?.length ?? (acknowledged ? 1 : 0);
    unknowable += Math.max(0, writes - certain);
  }
  const overdeclared = Math.max(0, left - unknowable);
  if (overdeclared > (allowed.overdeclared ?? 0)) {
    faults.push(`declared lost beyond what was ever sent: ${overdeclared} sequences`);
  }

  return {
    sent: sent.length,
    acknowledged: sent.filter((reading) => reading.acknowledged).length,
    arrived: arrivals.size,
    declared: missing.length - unmatched.length,
    resent,
    redelivered,
    overdeclared,
    declaredYetThere,
    epochs,
    faults,
    lost: unmatched.length,
  };
}

function where({ epoch, sequence }: JournalEvent): string {
  return `${epoch}-${sequence}`;
}

function sameContent(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>) {
  const names = Object.keys(b);
  return Object.keys(a).length === names.length && names.every((name) => a[name] === b[name]);
}

function distinctEvents(journal: readonly JournalEvent[]) {
  const first = new Map<string, JournalEvent>();
  const conflicting: string[] = [];
  let redelivered = 0;
  for (const event of journal) {
    // A loss has the id of the last that it stands for; where that is there too, it is told as such.
    const kind = event.type === "loss" ? `lost from ${event.from}` : "";
    const id = `${event.gateway} ${where(event)} ${kind}`;
    const before = first.get(id);
    if (!before) first.set(id, event);
    else if (JSON.stringify(before) === JSON.stringify(event)) redelivered += 1;
    else
      conflicting.push(`${where(event)}: ${JSON.stringify(before)} and ${JSON.stringify(event)}`);
  }
  return { distinct: [...first.values()], redelivered, conflicting };
}

/** Epochs as they name each other; those that nobody names, in the order of the log. */
function epochOrder(events: readonly JournalEvent[]): string[] {
  const seen = [...new Set(events.map((event) => event.epoch))];
  const before = new Map<string, string>();
  for (const event of events) {
    if (event.type === "epoch" && event.previous) before.set(event.epoch, event.previous.epoch);
  }
  const depth = (epoch: string): number => {
    let steps = 0;
    for (let at = before.get(epoch); at !== undefined && steps < seen.length; at = before.get(at)) {
      steps += 1;
    }
    return steps;
  };
  return seen.sort((a, b) => depth(a) - depth(b));
}

/** One number for a place in the journal, growing over all epochs. */
function placer(epochs: readonly string[]): (at: { epoch: string; sequence: number }) => number {
  const base = new Map(epochs.map((epoch, i) => [epoch, i * 2 ** 40]));
  return ({ epoch, sequence }) => (base.get(epoch) ?? 0) + sequence;
}

function declaredSlots(
  events: readonly JournalEvent[],
  place: (at: { epoch: string; sequence: number }) => number,
): number[] {
  const slots = new Set<number>();
  for (const event of events) {
    if (event.type !== "loss") continue;
    for (let sequence = event.from; sequence <= event.to; sequence += 1) {
      slots.add(place({ epoch: event.epoch, sequence }));
    }
  }
  return [...slots].sort((a, b) => a - b);
}

interface Missing {
  readonly n: number;
  readonly device: string;
  /** Its sequence lay between these two places. */
  readonly after: number;
  readonly before: number;
}

function missingReadings(
  sent: readonly SentReading[],
  arrivals: ReadonlyMap<number, readonly number[]>,
): Missing[] {
  const missing: (Missing & { before: number })[] = [];
  const last = new Map<string, number>();
  const open = new Map<string, (Missing & { before: number })[]>();
  for (const { n, device, acknowledged } of sent) {
    const places = arrivals.get(n);
    if (places) {
      // What was written twice is there twice: the loosest of the bounds is the one that is certain.
      for (const one of open.get(device) ?? []) one.before = Math.max(...places);
      open.delete(device);
      last.set(device, Math.min(...places));
    } else if (acknowledged) {
      const after = last.get(device) ?? Number.NEGATIVE_INFINITY;
      const one = { n, device, after, before: Number.POSITIVE_INFINITY };
      missing.push(one);
      const others = open.get(device);
      if (others) others.push(one);
      else open.set(device, [one]);
    }
  }
  return missing;
}

/** Most pairs of a missing reading and a declared sequence within its bounds: always the one whose bound ends first. */
function match(missing: readonly Missing[], slots: readonly number[]) {
  const byStart = [...missing].sort((a, b) => a.after - b.after || a.n - b.n);
  const unmatched: Missing[] = [];
  const open: Missing[] = [];
  let next = 0;
  let left = 0;
  for (const slot of slots) {
    for (; next < byStart.length; next += 1) {
      const one = byStart[next];
      if (!one || one.after >= slot) break;
      insertByEnd(open, one);
    }
    while (open[0] && open[0].before <= slot) unmatched.push(...open.splice(0, 1));
    if (open.length === 0) left += 1;
    else open.shift();
  }
  const rest = [...unmatched, ...open, ...byStart.slice(next)];
  return { unmatched: rest.sort((a, b) => a.n - b.n), left };
}

function insertByEnd(open: Missing[], one: Missing): void {
  let low = 0;
  let high = open.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((open[middle]?.before ?? 0) <= one.before) low = middle + 1;
    else high = middle;
  }
  open.splice(low, 0, one);
}

/** Sequences of an epoch below its highest that neither arrived nor are declared. */
function holes(events: readonly JournalEvent[], epochs: readonly string[]): string[] {
  const found: string[] = [];
  for (const epoch of epochs) {
    const ranges: [number, number][] = events
      .filter((event) => event.epoch === epoch)
      .map((event) =>
        event.type === "loss" ? [event.from, event.to] : [event.sequence, event.sequence],
      );
    const next = events.find((event) => event.type === "epoch" && event.previous?.epoch === epoch);
    const highest = next?.type === "epoch" ? (next.previous?.highest ?? 0) : 0;
    let upTo = 0;
    for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
      if (from > upTo + 1) found.push(`${epoch} ${upTo + 1}–${from - 1}`);
      upTo = Math.max(upTo, to);
    }
    if (highest > upTo) found.push(`${epoch} ${upTo + 1}–${highest}`);
  }
  return found;
}

/** Rollups must count each distinct event once. @returns what they count otherwise, in words */
export function judgeCounts(
  journal: readonly JournalEvent[],
  counts: ReadonlyMap<string, number>,
): string[] {
  const wanted = new Map<string, number>();
  for (const event of distinctEvents(journal).distinct) {
    if (event.type !== "reading") continue;
    wanted.set(event.device, (wanted.get(event.device) ?? 0) + 1);
  }
  return [...wanted]
    .filter(([device, count]) => counts.get(device) !== count)
    .map(([device, count]) => `${device}: ${counts.get(device) ?? 0} counted, ${count} there`);
}

/** Readings of the log, each event once. */
export function distinctReadings(journal: readonly JournalEvent[]): JournalReading[] {
  return distinctEvents(journal).distinct.filter((event) => event.type === "reading");
}
