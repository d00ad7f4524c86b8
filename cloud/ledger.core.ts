/**
 * The ledger: to the sequence, what has arrived of each epoch of each gateway. Pure.
 *
 * A journal comes in order, so a hole below the highest sequence that arrived is missing, until a late arrival fills
 * it. What a gateway claims beyond the highest (its status says so) is on its way; once a later epoch has named this
 * one's end, or begun without knowing of it, nothing is on its way any more and what did not come is missing too. A
 * declared loss answers for its range; what had arrived of it anyway, or turns up later, counts as arrived and not as
 * lost.
 *
 * Two gateways may have one id: both were given it, or one is a copy of the other's disk. Then the beginning of one says
 * nothing of the other: an epoch that was closed, and of which more comes than whoever closed it knew of, is alive.
 *
 * Readings are counted by their headers alone. An event of a type that only a later version knows is an event.
 */
import type { LedgerEntry } from "../events/schema.ts";
import type { Output, StateView, StepResult, StoredRecord, Topology } from "../stream/port.ts";
import {
  add,
  has,
  type Intervals,
  intervalsOf,
  type Seen,
  see,
  size,
  subtract,
  union,
} from "./dedupe.core.ts";
import { Fault, type JournalRecord, readJournal, readValue } from "./journal.core.ts";
import { rejected } from "./rejected.core.ts";

export interface LedgerOptions {
  readonly events: string;
  readonly status: string;
  readonly ledger: string;
  readonly rejected: string;
  readonly changelog: string;
}

/** What is remembered of one epoch. */
interface Account {
  readonly seen?: Seen;
  /** Every range that a loss named, whatever of it arrived. */
  readonly declared: Intervals;
  readonly duplicates: number;
  /** Highest sequence that anything claimed. */
  readonly accepted: number;
  readonly closed?: boolean;
  /** The highest that the epoch which closed it named. */
  readonly end?: number;
  /** Closed by a beginning without a memory: it may as well be the newer one, or another gateway's of the same name. */
  readonly guessed?: boolean;
  /** When a status told of it first, by the log's clock; and when it began without a memory. ms since 1970 */
  readonly told?: number;
  readonly begun?: number;
  /** Times of sending of the first and the last record, ms since 1970. */
  readonly first?: number;
  readonly last?: number;
}

const NEW: Account = { declared: [], duplicates: 0, accepted: 0 };
const NOTHING: StepResult = { state: [], outputs: [] };
const NAME = "ledger";

export function ledgerTopology(options: LedgerOptions): Topology {
  const target = { topology: NAME, topic: options.rejected };
  const refuse = (record: StoredRecord, fault: Fault): Output => rejected(target, record, fault);

  return {
    name: NAME,
    inputs: [options.events, options.status],
    outputs: [
      { topic: options.ledger, coalesce: true },
      { topic: options.rejected, coalesce: false },
    ],
    changelog: options.changelog,
    listed: [""],
    step(state, input) {
      if (input.kind === "tick") return NOTHING;
      const { record } = input;
      const changes =
        record.topic === options.status ? claimed(state, record) : arrived(state, record);
      return {
        state: changes.accounts.map((change) => [accountKey(change), change.account] as const),
        outputs: changes.faults.map((fault) => refuse(record, fault)),
      };
    },
    show({ key, now }, { last }) {
      const [gateway = "", epoch = ""] = key.split("/");
      const event = entryOf({ gateway, epoch, account: now as Account });
      const id = `${key}@${last.topic}/${last.partition}/${last.offset}`;
      const { ledger: topic } = options;
      return [{ topic, key, type: "tidegate.ledger", id, time: last.timestamp, event }];
    },
  };
}

interface AccountChange {
  readonly gateway: string;
  readonly epoch: string;
  readonly account: Account;
}

interface Changes {
  readonly accounts: readonly AccountChange[];
  readonly faults: readonly Fault[];
}

const NO_FAULTS: readonly Fault[] = [];

function accountKey({ gateway, epoch }: { readonly gateway: string; readonly epoch: string }) {
  return `${gateway}/${epoch}`;
}

function accountOf(state: StateView, gateway: string, epoch: string): Account | undefined {
  return state.get(accountKey({ gateway, epoch })) as Account | undefined;
}

/** A status: how far the gateway says it has come. */
function claimed(state: StateView, record: StoredRecord): Changes {
  // A tombstone takes a gateway out of the status topic; its ledger stays.
  if (record.value === null) return { accounts: [], faults: NO_FAULTS };
  const status = readValue("tidegate.gateway-status", record);
  if (status instanceof Fault) return { accounts: [], faults: [status] };
  const { gateway, epoch, accepted } = status;
  if (gateway !== record.key) {
    const fault = new Fault("bad_key", `key "${record.key}", and the status is of ${gateway}`);
    return { accounts: [], faults: [fault] };
  }
  const account = accountOf(state, gateway, epoch);
  // A status may be older than what has arrived meanwhile.
  if (account && accepted <= account.accepted) return { accounts: [], faults: NO_FAULTS };
  if (account) {
    return { accounts: [{ gateway, epoch, account: { ...account, accepted } }], faults: NO_FAULTS };
  }
  const told = { ...NEW, accepted, told: record.timestamp };
  const over = accountsOf(state, gateway).some(
    ({ account: { begun = 0 } }) => record.timestamp < begun,
  );
  const fresh = { gateway, epoch, account: over ? ended(told) : told };
  return { accounts: [fresh], faults: NO_FAULTS };
}

/** Nothing of it is on its way any more. */
function ended(account: Account): Account {
  return { ...account, closed: true, guessed: true };
}

/** Something new of it came after all, behind the beginning that had seemed to end it. */
function revived(account: Account, sequence: number): Account {
  const { closed, guessed, end, ...rest } = account;
  const isAlive = closed && (guessed || (end !== undefined && sequence > end));
  return isAlive ? rest : account;
}

function arrived(state: StateView, record: StoredRecord): Changes {
  const journal = readJournal(record);
  if (journal instanceof Fault) return { accounts: [], faults: [journal] };
  const { gateway, epoch, type } = journal;
  const old = accountOf(state, gateway, epoch) ?? NEW;
  const dated: Account = {
    ...old,
    first: old.first ?? record.timestamp,
    last: Math.max(old.last ?? record.timestamp, record.timestamp),
  };
  switch (type) {
    case "tidegate.loss":
      return lost(dated, journal);
    case "tidegate.epoch":
      return opened(state, dated, journal);
    case "tidegate.rejected-payload": {
      const event = readValue(type, record);
      const faults = event instanceof Fault ? [event] : NO_FAULTS;
      return { accounts: [{ gateway, epoch, account: counted(dated, journal) }], faults };
    }
    // Those that decode them report them: one fault is told once.
    case "tidegate.reading":
    case "tidegate.clock":
    case "tidegate.heartbeat":
      return {
        accounts: [{ gateway, epoch, account: counted(dated, journal) }],
        faults: NO_FAULTS,
      };
    default: {
      const faults =
        record.value === null ? [new Fault("no_value", "the record has no value")] : NO_FAULTS;
      return { accounts: [{ gateway, epoch, account: counted(dated, journal) }], faults };
    }
  }
}

function counted(account: Account, { sequence }: JournalRecord): Account {
  const seen = see(account.seen, sequence);
  if (!seen) return { ...account, duplicates: account.duplicates + 1 };
  const accepted = Math.max(account.accepted, sequence);
  return { ...revived(account, sequence), seen, accepted };
}

/** A declared loss. It stands under a sequence of its range, which is lost like the others. */
function lost(account: Account, journal: JournalRecord): Changes {
  const { gateway, epoch, sequence } = journal;
  const only = (changed: Account, faults: readonly Fault[] = NO_FAULTS): Changes => ({
    accounts: [{ gateway, epoch, account: changed }],
    faults,
  });
  const loss = readValue("tidegate.loss", journal.record);
  if (loss instanceof Fault) return only(counted(account, journal), [loss]);
  if (loss.from > loss.to) {
    const fault = new Fault("bad_range", `a loss from ${loss.from} to ${loss.to}`);
    return only(counted(account, journal), [fault]);
  }
  const outside = sequence < loss.from || sequence > loss.to;
  const base = outside ? counted(account, journal) : account;
  if (base.duplicates > account.duplicates) return only(base);
  const declared = add(account.declared, loss.from, loss.to);
  if (!outside && size(declared) === size(account.declared) && has(account.declared, sequence)) {
    return only({ ...account, duplicates: account.duplicates + 1 });
  }
  const accepted = Math.max(base.accepted, loss.to);
  return only({ ...revived(base, loss.to), declared, accepted });
}

/** The first event of an epoch closes the one before. */
function opened(state: StateView, account: Account, journal: JournalRecord): Changes {
  const { gateway, epoch } = journal;
  const own: AccountChange = { gateway, epoch, account: counted(account, journal) };
  const event = readValue("tidegate.epoch", journal.record);
  if (event instanceof Fault) return { accounts: [own], faults: [event] };
  const { previous, reason } = event;
  if (own.account.duplicates > account.duplicates) return { accounts: [own], faults: NO_FAULTS };
  if (!previous && reason === "first-start") {
    const begun = { ...own, account: { ...own.account, begun: journal.record.timestamp } };
    return { accounts: [...forgotten(state, journal), begun], faults: NO_FAULTS };
  }
  if (!previous || previous.epoch === epoch) return { accounts: [own], faults: NO_FAULTS };
  const before = accountOf(state, gateway, previous.epoch);
  // A moved card's epoch before was another gateway's, which may live on and is not ours to close.
  const isOthers = previous.gateway !== undefined && previous.gateway !== gateway;
  if (isOthers || (!before && reason === "moved")) return { accounts: [own], faults: NO_FAULTS };
  const { guessed: _, ...known } = before ?? NEW;
  const closed: AccountChange = {
    gateway,
    epoch: previous.epoch,
    account: {
      ...known,
      accepted: Math.max(known.accepted, previous.highest),
      closed: true,
      end: previous.highest,
    },
  };
  return { accounts: [closed, own], faults: NO_FAULTS };
}

/**
 * A buffer that begins without a memory of one before it, under a gateway's old name: that disk is gone, and with it
 * what was on its way. Left open, those epochs would be on their way for ever and an audit would find nothing missing.
 * A status goes past the journal's backlog, so an epoch known by its status alone may have begun before or after this one:
 * that goes by when the log got to know of them, until something of it comes.
 */
function forgotten(
  state: StateView,
  { gateway, epoch, record }: JournalRecord,
): readonly AccountChange[] {
  return accountsOf(state, gateway)
    .filter(({ epoch: other, account: { closed, first, told = 0 } }) => {
      const older = first !== undefined || told < record.timestamp;
      return other !== epoch && !closed && older;
    })
    .map((before) => ({ ...before, account: ended(before.account) }));
}

function accountsOf(state: StateView, gateway: string): readonly AccountChange[] {
  const prefix = accountKey({ gateway, epoch: "" });
  return [...state.entries(prefix)].map(([key, value]) => ({
    gateway,
    epoch: key.slice(prefix.length),
    account: value as Account,
  }));
}

/** The account as it is published. */
function entryOf({ gateway, epoch, account }: AccountChange): LedgerEntry {
  const { seen, declared, duplicates, accepted, closed, first, last } = account;
  const received = union(intervalsOf(seen), declared);
  const mutable = (set: Intervals) => set.map(([from, to]): [number, number] => [from, to]);
  const arrivedTo = Math.max(seen?.to ?? 0, declared.at(-1)?.[1] ?? 0);
  const sent = closed ? accepted : arrivedTo;
  return {
    gateway,
    epoch,
    received: mutable(received),
    declared_lost: mutable(subtract(declared, intervalsOf(seen))),
    missing: sent < 1 ? [] : mutable(subtract([[1, sent]], received)),
    duplicates,
    accepted,
    ...(closed ? { closed } : {}),
    ...(first === undefined ? {} : { first_received: first }),
    ...(last === undefined ? {} : { last_received: last }),
  };
}
