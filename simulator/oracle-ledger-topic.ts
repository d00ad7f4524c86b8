/**
 * What the ledger topic must say of each epoch of each gateway in the end, in the plainest way: gather all sequences and all
 * declared ranges, then look what is missing. It shares no code with the product's processing.
 *
 * A declared loss answers for its range; what arrived of it anyway counts as arrived and not as lost. Below the highest that came,
 * what did not come is missing; of an epoch that is closed, below everything that was claimed. A later epoch closes the one
 * that it names; one that begins without a memory closes all that came before it. One of which more comes than whoever closed
 * it knew of is alive: two gateways have one id.
 */
import type { EpochStart, GatewayStatus, LedgerEntry, Loss } from "../events/schema.ts";
import { type JournalEvent, type JournalRecord, journalEvents } from "./oracle-journal.ts";
import { mergedRanges, type Range, rangesWithout } from "./oracle-ranges.ts";

interface Account {
  readonly gateway: string;
  readonly epoch: string;
  readonly events: Set<number>;
  /** In the order of the log. */
  readonly losses: Range[];
  readonly times: number[];
  repeats: number;
  claimed: number;
  closed: boolean;
  /** The highest that whoever closed it knew of: one of which more comes is alive. */
  end: number;
}

/**
 * @param records the events topic in the order of the log
 * @param statuses the status topic. Of those that told of an epoch that never came anything in the log, only the ones from
 * before another began without a memory close with it
 */
export function expectedLedger(
  records: Iterable<JournalRecord>,
  statuses: Iterable<JournalRecord> = [],
): LedgerEntry[] {
  const accounts = new Map<string, Account>();
  const account = (gateway: string, epoch: string): Account => {
    const key = `${gateway}/${epoch}`;
    const fresh = { repeats: 0, claimed: 0, closed: false, end: 0 };
    const found = accounts.get(key) ?? {
      gateway,
      epoch,
      events: new Set<number>(),
      losses: [],
      times: [],
      ...fresh,
    };
    accounts.set(key, found);
    return found;
  };
  const beginnings: JournalEvent[] = [];
  for (const event of journalEvents(records)) {
    const own = account(event.gateway, event.epoch);
    own.times.push(event.record.timestamp);
    const isNew = entered(own, event);
    if (isNew && own.closed && reach(event) > own.end) own.closed = false;
    if (event.type !== "tidegate.epoch" || !event.data) continue;
    const { previous, reason } = event.data as EpochStart;
    if (!previous && reason === "first-start" && isNew) {
      beginnings.push(event);
      for (const other of accounts.values()) {
        if (other.gateway !== event.gateway || other === own || other.closed) continue;
        // Whatever comes of it from now on says that it lives.
        Object.assign(other, { closed: true, end: 0 });
      }
    }
    if (!previous || previous.epoch === event.epoch || !isNew) continue;
    // A moved card's epoch before was another gateway's, which may live on.
    if ((previous.gateway ?? event.gateway) !== event.gateway) continue;
    if (reason === "moved" && !accounts.has(`${event.gateway}/${previous.epoch}`)) continue;
    const before = account(event.gateway, previous.epoch);
    before.claimed = Math.max(before.claimed, previous.highest);
    Object.assign(before, { closed: true, end: previous.highest });
  }
  for (const { key, data, timestamp } of statuses) {
    const status = data as GatewayStatus | undefined;
    if (!status || status.gateway !== key) continue;
    const told = account(status.gateway, status.epoch);
    told.claimed = Math.max(told.claimed, status.accepted);
    const anew = beginnings.some(
      ({ gateway, record }) => gateway === key && timestamp < record.timestamp,
    );
    if (told.times.length === 0 && anew) told.closed = true;
  }
  return [...accounts.values()].map(entryOf);
}

/** The highest sequence that it stands for. */
function reach({ type, data, sequence }: JournalEvent): number {
  const loss = type === "tidegate.loss" ? (data as Loss | undefined) : undefined;
  return loss && loss.from <= loss.to ? Math.max(sequence, loss.to) : sequence;
}

/** @returns whether it is the first of its kind */
function entered(account: Account, { type, data, sequence }: JournalEvent): boolean {
  const loss = type === "tidegate.loss" ? (data as Loss | undefined) : undefined;
  if (loss && loss.from <= loss.to) {
    const outside = sequence < loss.from || sequence > loss.to;
    // Under a sequence of its range it is lost like the others; elsewhere it is an event of its own.
    if (outside && account.events.has(sequence)) {
      account.repeats += 1;
      return false;
    }
    const range: Range = [loss.from, loss.to];
    if (!outside && rangesWithout([range], account.losses).length === 0) {
      account.repeats += 1;
      return false;
    }
    if (outside) account.events.add(sequence);
    // Kept made one, so that many losses stay cheap.
    account.losses.splice(0, account.losses.length, ...mergedRanges([...account.losses, range]));
    return true;
  }
  if (account.events.has(sequence)) account.repeats += 1;
  const isNew = !account.events.has(sequence);
  account.events.add(sequence);
  return isNew;
}

function entryOf(account: Account): LedgerEntry {
  const { gateway, epoch, events, losses, times, repeats, claimed, closed } = account;
  const arrived = mergedRanges([...events].map((sequence): Range => [sequence, sequence]));
  const received = mergedRanges([...arrived, ...losses]);
  const highest = received.at(-1)?.[1] ?? 0;
  const accepted = Math.max(highest, claimed);
  const end = closed ? accepted : highest;
  return {
    gateway,
    epoch,
    received: pairs(received),
    declared_lost: pairs(rangesWithout(losses, arrived)),
    missing: end < 1 ? [] : pairs(rangesWithout([[1, end]], received)),
    duplicates: repeats,
    accepted,
    ...(closed ? { closed } : {}),
    ...(times[0] === undefined ? {} : { first_received: times[0] }),
    ...(times.length === 0
      ? {}
      : { last_received: times.reduce((last, time) => Math.max(last, time)) }),
  };
}

const pairs = (ranges: readonly Range[]) =>
  ranges.map(([from, to]): [number, number] => [from, to]);

export interface LedgerDifference {
  readonly kind: "missing" | "unexpected" | "different" | "twice";
  readonly key: string;
  readonly expected?: LedgerEntry;
  readonly actual?: LedgerEntry;
}

/** @param actual one for each epoch, the newest. @returns what differs; empty where all agree */
export function compareLedger(
  expected: Iterable<LedgerEntry>,
  actual: Iterable<LedgerEntry>,
): LedgerDifference[] {
  const differences: LedgerDifference[] = [];
  const keyOf = ({ gateway, epoch }: LedgerEntry) => `${gateway}/${epoch}`;
  const found = new Map<string, LedgerEntry>();
  for (const entry of actual) {
    const key = keyOf(entry);
    if (found.has(key)) differences.push({ kind: "twice", key, actual: entry });
    found.set(key, entry);
  }
  for (const wanted of expected) {
    const key = keyOf(wanted);
    const got = found.get(key);
    found.delete(key);
    if (!got) differences.push({ kind: "missing", key, expected: wanted });
    else if (words(wanted) !== words(got)) {
      differences.push({ kind: "different", key, expected: wanted, actual: got });
    }
  }
  for (const [key, entry] of found) differences.push({ kind: "unexpected", key, actual: entry });
  return differences;
}

/** The entry in one order of its members; `closed` is true or not there. */
function words(entry: LedgerEntry): string {
  const { received, declared_lost, missing, duplicates, accepted, closed = false } = entry;
  const times = [entry.first_received ?? null, entry.last_received ?? null];
  return JSON.stringify([received, declared_lost, missing, duplicates, accepted, closed, times]);
}
