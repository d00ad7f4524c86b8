/**
 * The journals alone, against what docs/events.md and docs/spec/buffer.md promise of them: sequences of an epoch count from 1
 * without holes, events or declared losses; in order within one partition; what comes twice under one id is the same; an epoch
 * begins with its own event, which names the one before. And what the gateways' status says of it.
 */
import { isDeepStrictEqual } from "node:util";
import type { EpochStart, GatewayStatus, Loss } from "../events/schema.ts";
import { type JournalEvent, type JournalRecord, journalEvent } from "./oracle-journal.ts";
import { countIn, mergedRanges, type Range, rangesWithout } from "./oracle-ranges.ts";

export const JOURNAL_FAULTS = [
  /** A record that has no place in a journal, or cannot be decoded. */
  "unreadable",
  /** Sequences of which there is neither an event nor a declared loss. */
  "missing",
  /** The same id, another content. */
  "changed",
  /** An event stands behind one that was accepted later, or behind a later epoch. */
  "order",
  /** A gateway in two partitions. */
  "partition",
  /** An epoch that does not begin with its event, or does not go on from the one before it. */
  "epoch",
  /** A status that went back, or says more was forwarded than there is. */
  "status",
] as const;
export type JournalFaultKind = (typeof JOURNAL_FAULTS)[number];

export interface JournalFault {
  readonly kind: JournalFaultKind;
  readonly gateway: string;
  readonly epoch?: string;
  readonly ranges?: readonly Range[];
  readonly message: string;
}

export interface EpochAudit {
  readonly epoch: string;
  readonly reason: EpochStart["reason"] | undefined;
  readonly highest: number;
  /** Highest sequence that anything claims: an event, a loss, a status, the next epoch's beginning. */
  readonly accepted: number;
  /** Distinct events; those of declared losses are not among them. */
  readonly events: number;
  /** Records beyond the first of their id. */
  readonly duplicates: number;
  readonly declared: readonly Range[];
  readonly missing: readonly Range[];
  /** Claimed, and beyond everything that came. */
  readonly onTheWay: number;
}

export interface JournalAudit {
  readonly faults: readonly JournalFault[];
  /** Gateway → its epochs, in the order in which they began in the log. */
  readonly gateways: ReadonlyMap<string, readonly EpochAudit[]>;
}

interface Epoch {
  readonly name: string;
  readonly first: Map<string, JournalEvent>;
  readonly sequences: number[];
  readonly declared: Range[];
  opening: EpochStart | undefined;
  highest: number;
  accepted: number;
  forwarded: number;
  duplicates: number;
}

interface Gateway {
  readonly epochs: Map<string, Epoch>;
  partition: number;
  newest: Epoch | undefined;
}

/**
 * @param records the events topic, partition by partition in the order of the log
 * @param statuses the status topic
 * @param options `still`: everything was forwarded, so that nothing may be on its way
 */
export function auditJournal(
  records: Iterable<JournalRecord>,
  statuses: Iterable<JournalRecord> = [],
  options: { readonly still?: boolean } = {},
): JournalAudit {
  const gateways = new Map<string, Gateway>();
  const faults: JournalFault[] = [];
  for (const record of records) {
    const event = journalEvent(record);
    if (event === undefined) continue;
    if (typeof event === "string" || record.fault) {
      const code = typeof event === "string" ? event : record.fault;
      const message = `${code} at ${record.partition}/${record.offset}`;
      faults.push({ kind: "unreadable", gateway: record.key ?? "", message });
    }
    if (typeof event === "object") faults.push(...audited(gateways, event));
  }
  for (const { data } of statuses) faults.push(...claimed(gateways, data as GatewayStatus));
  const audits = new Map<string, EpochAudit[]>();
  for (const [gateway, { epochs }] of gateways) {
    const list = [...epochs.values()];
    audits.set(
      gateway,
      list.map((epoch, at) => epochAudit(epoch, at === list.length - 1 && !options.still)),
    );
    faults.push(...list.flatMap((epoch) => endFaults(gateway, epoch, audits.get(gateway) ?? [])));
  }
  return { faults, gateways: audits };
}

function epochOf(gateway: Gateway, name: string): Epoch {
  const known = gateway.epochs.get(name);
  if (known) return known;
  const none = { highest: 0, accepted: 0, forwarded: 0, duplicates: 0, opening: undefined };
  const epoch: Epoch = { name, first: new Map(), sequences: [], declared: [], ...none };
  gateway.epochs.set(name, epoch);
  return epoch;
}

function audited(gateways: Map<string, Gateway>, event: JournalEvent): JournalFault[] {
  const { gateway: name, epoch: epochName, sequence, id, type, record } = event;
  const faults: JournalFault[] = [];
  const told = (kind: JournalFaultKind, message: string) =>
    faults.push({ kind, gateway: name, epoch: epochName, message });
  const gateway = gateways.get(name) ?? {
    epochs: new Map(),
    partition: record.partition,
    newest: undefined,
  };
  gateways.set(name, gateway);
  if (gateway.partition !== record.partition) {
    told("partition", `${id} in partition ${record.partition}, others in ${gateway.partition}`);
  }
  const epoch = epochOf(gateway, epochName);
  // A loss under the id of an event that it replaces is no copy of that event.
  const key = `${type === "tidegate.loss"} ${id}`;
  const before = epoch.first.get(key);
  if (before) {
    epoch.duplicates += 1;
    // Damaged once more before it was released, it is declared once more, by a process of another time; perhaps with more.
    if (isDamage(event)) {
      const { from, to } = event.data as Loss;
      epoch.declared.push([from, to]);
      return faults;
    }
    if (before.type !== type || !isDeepStrictEqual(said(before), said(event))) {
      told("changed", `${id} came twice with different contents`);
    }
    return faults;
  }
  epoch.first.set(key, event);
  const loss = type === "tidegate.loss" ? (event.data as Loss | undefined) : undefined;
  const from = loss?.from ?? sequence;
  const to = loss?.to ?? sequence;
  if (loss) epoch.declared.push([from, to]);
  else epoch.sequences.push(sequence);
  // Damaged again before it knew what it had sent, a buffer declares that too, also of epochs that it has left.
  const earlier = gateway.newest && gateway.newest !== epoch && epoch.highest > 0;
  const isKnown = isDamage(event) && earlier;
  if (earlier && !isKnown) {
    told("order", `${id} came behind the beginning of epoch ${gateway.newest?.name}`);
  } else if (!loss && to <= epoch.highest) {
    // A damaged buffer may no longer know what it had sent, and declares that too.
    told("order", `${id} came behind ${epochName}-${epoch.highest}`);
  }
  if (type === "tidegate.epoch") {
    if (sequence !== 1) told("epoch", `${id} begins an epoch in its middle`);
    epoch.opening = event.data as EpochStart | undefined;
    faults.push(...chained(gateway, event as JournalEvent<EpochStart>));
  } else if (from === 1 && !loss) {
    told("epoch", `${id} is a ${type}, and the first event of its epoch`);
  }
  epoch.highest = Math.max(epoch.highest, to);
  epoch.accepted = Math.max(epoch.accepted, to);
  if (!isKnown) gateway.newest = epoch;
  return faults;
}

function isDamage({ type, data }: JournalEvent): boolean {
  return type === "tidegate.loss" && (data as Loss | undefined)?.reason === "damage";
}

/** An epoch's beginning against the epoch that came before it in the log. */
function chained(gateway: Gateway, event: JournalEvent<EpochStart>): JournalFault[] {
  const { gateway: name, epoch, data } = event;
  if (!data) return [];
  const fault = (message: string): JournalFault[] => [
    { kind: "epoch", gateway: name, epoch, message },
  ];
  const { previous, reason } = data;
  const before = gateway.newest;
  // Of a moved card the epoch before was another gateway's, and a first start knows of none.
  if (reason === "first-start" || (reason === "moved" && !before)) return [];
  // One that is back in its first hardware goes on from what it was elsewhere, which is another journal.
  if ((previous?.gateway ?? name) !== name) return [];
  if (!previous) return fault(`${epoch} (${reason}) names no epoch before it`);
  if (before && before.name !== previous.epoch) {
    return fault(`${epoch} goes on from ${previous.epoch}, and ${before.name} stands before it`);
  }
  const closed = epochOf(gateway, previous.epoch);
  closed.accepted = Math.max(closed.accepted, previous.highest);
  return previous.highest < closed.highest
    ? fault(
        `${epoch} says ${previous.epoch} ended at ${previous.highest}; it had ${closed.highest}`,
      )
    : [];
}

function claimed(
  gateways: Map<string, Gateway>,
  status: GatewayStatus | undefined,
): JournalFault[] {
  if (!status) return [];
  const { gateway: name, epoch: epochName, accepted, forwarded } = status;
  const gateway = gateways.get(name) ?? { epochs: new Map(), partition: 0, newest: undefined };
  gateways.set(name, gateway);
  const epoch = epochOf(gateway, epochName);
  epoch.accepted = Math.max(epoch.accepted, accepted);
  const highest = Math.max(epoch.forwarded, forwarded);
  const faults: JournalFault[] = [];
  if (forwarded < epoch.forwarded || forwarded > accepted) {
    const message = `a status says ${forwarded} of ${accepted} were forwarded, one before it ${epoch.forwarded}`;
    faults.push({ kind: "status", gateway: name, epoch: epochName, message });
  }
  epoch.forwarded = highest;
  return faults;
}

function epochAudit(epoch: Epoch, open: boolean): EpochAudit {
  const arrived = epoch.sequences.map((sequence): Range => [sequence, sequence]);
  const covered = mergedRanges([...arrived, ...epoch.declared]);
  // The newest epoch may go on: what it claims beyond what came is on its way.
  const end = open ? epoch.highest : epoch.accepted;
  return {
    epoch: epoch.name,
    reason: epoch.opening?.reason,
    highest: epoch.highest,
    accepted: epoch.accepted,
    events: epoch.sequences.length,
    duplicates: epoch.duplicates,
    declared: rangesWithout(epoch.declared, arrived),
    missing: end < 1 ? [] : rangesWithout([[1, end]], covered),
    onTheWay: open ? epoch.accepted - epoch.highest : 0,
  };
}

function endFaults(gateway: string, epoch: Epoch, audits: readonly EpochAudit[]): JournalFault[] {
  const found = audits.find((one) => one.epoch === epoch.name);
  const faults: JournalFault[] = [];
  const ranges = found?.missing ?? [];
  const of = { gateway, epoch: epoch.name };
  if (ranges.length > 0) {
    const message = `${countIn(ranges)} of ${epoch.name} are missing: ${ranges.join("; ")}`;
    faults.push({ kind: "missing", ...of, ranges, message });
  }
  const uncovered = rangesWithout(epoch.forwarded < 1 ? [] : [[1, epoch.forwarded]], [
    [1, Math.max(1, epoch.highest)],
  ]);
  if (uncovered.length > 0) {
    const message = `a status says that ${epoch.name} was forwarded up to ${epoch.forwarded}; the log has ${epoch.highest}`;
    faults.push({ kind: "status", ...of, ranges: uncovered, message });
  }
  return faults;
}

/** Without when it was received: a batch that is sent again after a restart has it as it is known by then. */
function said({ data }: JournalEvent): unknown {
  if (typeof data !== "object" || data === null) return data;
  const { received: _, clock: __, ...rest } = data as Readonly<Record<string, unknown>>;
  return rest;
}
