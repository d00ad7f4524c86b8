/**
 * What the ledger comes to for each gateway, and the verdict: is anything missing that nobody declared lost? Pure.
 * accepted = arrived + on the way + missing + declared lost, in events of the journal.
 */
import type { LedgerEntry } from "../events/schema.ts";
import type { LedgerTotals } from "./read-model/port.ts";

export interface AuditEpoch extends LedgerTotals {
  readonly epoch: string;
  readonly closed: boolean;
  /** Sequences, both ends included. */
  readonly missingRanges: readonly (readonly [from: number, to: number])[];
  readonly declaredLostRanges: readonly (readonly [from: number, to: number])[];
}

export interface AuditRow extends LedgerTotals {
  readonly gateway: string;
  /** In the order in which they first arrived. */
  readonly epochs: readonly AuditEpoch[];
}

export interface AuditReport {
  readonly rows: readonly AuditRow[];
  readonly totals: LedgerTotals;
  /** `empty`: no gateway has been heard of, so nothing can be said. */
  readonly verdict: "complete" | "missing" | "empty";
}

const ZERO: LedgerTotals = {
  accepted: 0,
  arrived: 0,
  onTheWay: 0,
  missing: 0,
  duplicates: 0,
  declaredLost: 0,
};

/** One epoch in numbers. */
export function totalsOf(entry: LedgerEntry): LedgerTotals {
  const declaredLost = count(entry.declared_lost);
  const received = count(entry.received);
  const missing = count(entry.missing);
  const highest = Math.max(entry.accepted, entry.received.at(-1)?.[1] ?? 0);
  return {
    accepted: highest,
    arrived: received - declaredLost,
    onTheWay: highest - received - missing,
    missing,
    duplicates: entry.duplicates,
    declaredLost,
  };
}

export function addTotals(a: LedgerTotals, b: LedgerTotals): LedgerTotals {
  return {
    accepted: a.accepted + b.accepted,
    arrived: a.arrived + b.arrived,
    onTheWay: a.onTheWay + b.onTheWay,
    missing: a.missing + b.missing,
    duplicates: a.duplicates + b.duplicates,
    declaredLost: a.declaredLost + b.declaredLost,
  };
}

export function sumTotals(entries: readonly LedgerEntry[]): LedgerTotals {
  return entries.map(totalsOf).reduce(addTotals, ZERO);
}

export function audit(entries: readonly LedgerEntry[]): AuditReport {
  const byGateway = Map.groupBy(entries, (entry) => entry.gateway);
  const rows = [...byGateway]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([gateway, some]): AuditRow => {
      const ordered = [...some].sort(
        (a, b) =>
          (a.first_received ?? Number.POSITIVE_INFINITY) -
            (b.first_received ?? Number.POSITIVE_INFINITY) || (a.epoch < b.epoch ? -1 : 1),
      );
      return { gateway, ...sumTotals(some), epochs: ordered.map(epochOf) };
    });
  const totals = rows.reduce<LedgerTotals>(addTotals, ZERO);
  const verdict = rows.length === 0 ? "empty" : totals.missing > 0 ? "missing" : "complete";
  return { rows, totals, verdict };
}

function epochOf(entry: LedgerEntry): AuditEpoch {
  return {
    epoch: entry.epoch,
    closed: entry.closed === true,
    ...totalsOf(entry),
    missingRanges: entry.missing,
    declaredLostRanges: entry.declared_lost,
  };
}

function count(ranges: readonly (readonly [number, number])[]): number {
  return ranges.reduce((total, [from, to]) => total + to - from + 1, 0);
}
