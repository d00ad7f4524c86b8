/**
 * What the switch of one partition writes: both states walked side by side in the order of their keys, and for each key in
 * which they differ what the plan says. Some of it at a time, so that memory does not grow with the state.
 */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import type { EncodedChange, OrderedState, StateEntry } from "../partition-state.ts";
import type {
  CommitView,
  Output,
  RebuildPlan,
  RebuildStates,
  StateChange,
  StateReader,
} from "../port.ts";
import type { Place } from "./replay.ts";

/** About so many bytes are handed on at once. */
const PART_BYTES = 512 * 1024;
/** What an output takes beside its event, about, bytes. */
const OUTPUT_BYTES = 300;
/** Decoded values and answers kept: keys that belong together ask for the same ones. */
const REMEMBERED = 500;

/** A part of the switch. All parts together are written as one. */
export interface ExchangePart {
  readonly changes: readonly EncodedChange[];
  readonly outputs: readonly Output[];
}

export interface ExchangeOf {
  readonly partition: number;
  readonly live: OrderedState;
  readonly made: OrderedState;
  /** First and last input of the replay. */
  readonly first: Place | undefined;
  readonly last: Place | undefined;
}

export async function* exchangeParts(
  plan: RebuildPlan,
  of: ExchangeOf,
  signal: AbortSignal,
): AsyncGenerator<ExchangePart> {
  const { first, last, partition } = of;
  const live = await Reader.over(of.live, plan.listed);
  const made = await Reader.over(of.made, plan.listed);
  const states: RebuildStates = {
    partition,
    live,
    made,
    whole: first?.offset === 0,
    from: first?.timestamp,
    until: last?.timestamp,
  };
  const exchange = plan.exchange(states);
  const now = remembering((key) => exchange.now(key));
  const place = last ?? first ?? { topic: "", partition, offset: 0, timestamp: 0 };
  const commit: CommitView = { was: (key) => live.get(key), now, last: place };
  let changes: EncodedChange[] = [];
  let outputs: Output[] = [];
  let bytes = 0;
  const put = (output: Output) => {
    outputs.push(output);
    bytes += OUTPUT_BYTES;
  };
  const look = (key: string): void => {
    const before = of.live.get(key);
    const value = now(key);
    const after = value === undefined ? null : encodeCbor(value);
    if (before === undefined ? after === null : after && Buffer.compare(before, after) === 0)
      return;
    changes.push({ key, value: after });
    bytes += key.length + (after?.length ?? 0);
    const change: StateChange = { key, was: live.get(key), now: value };
    for (const output of exchange.show(change, commit)) put(output);
  };
  const brought = new Brought();
  const always = new Set(exchange.always);
  for (const key of always) look(key);
  for await (const [key, before, after] of sideBySide(of.live, of.made)) {
    if (bytes >= PART_BYTES) {
      yield { changes, outputs };
      [changes, outputs, bytes] = [[], [], 0];
      signal.throwIfAborted();
    }
    const name = key.toString();
    if (plan.outbox !== undefined && name.startsWith(plan.outbox)) {
      if (!after) continue;
      for (const output of exchange.publish?.(name, decodeCbor(after)) ?? []) put(output);
      continue;
    }
    if (always.has(name)) continue;
    if (before && after && Buffer.compare(before, after) === 0) continue;
    if (!after && exchange.stays?.(name)) continue;
    look(name);
    for (const other of exchange.also?.(name) ?? []) {
      const [was, is] = [of.live.get(other), of.made.get(other)];
      // Where they differ it is looked at in its own turn.
      const same = was === undefined ? is === undefined : is && Buffer.compare(was, is) === 0;
      if (same && brought.isNew(other)) look(other);
    }
  }
  signal.throwIfAborted();
  if (changes.length > 0 || outputs.length > 0) yield { changes, outputs };
}

/** Two keys may bring the same third one, and neighbours do. */
class Brought {
  readonly #keys = new Set<string>();
  isNew(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    return true;
  }
}

type Both = readonly [key: Buffer, live: Uint8Array | undefined, made: Uint8Array | undefined];

async function* sideBySide(live: OrderedState, made: OrderedState): AsyncGenerator<Both> {
  const a = one(live.entries());
  const b = one(made.entries());
  try {
    let [left, right] = [await a.next(), await b.next()];
    while (!left.done || !right.done) {
      const order = left.done ? 1 : right.done ? -1 : Buffer.compare(left.value[0], right.value[0]);
      const key = (order <= 0 ? left : right).value?.[0] as Buffer;
      yield [
        key,
        order <= 0 ? left.value?.[1] : undefined,
        order >= 0 ? right.value?.[1] : undefined,
      ];
      if (order <= 0) left = await a.next();
      if (order >= 0) right = await b.next();
    }
  } finally {
    await a.return(undefined);
    await b.return(undefined);
  }
}

async function* one(
  some: AsyncIterable<readonly StateEntry[]>,
): AsyncGenerator<StateEntry, undefined> {
  for await (const entries of some) yield* entries;
  return undefined;
}

class Reader implements StateReader {
  readonly get: (key: string) => unknown;
  readonly #listed: readonly (readonly [string, unknown])[];

  private constructor(store: OrderedState, listed: readonly (readonly [string, unknown])[]) {
    this.#listed = listed;
    this.get = remembering((key) => {
      const value = store.get(key);
      return value && decodeCbor(value);
    });
  }

  static async over(store: OrderedState, prefixes: readonly string[]): Promise<Reader> {
    const listed: (readonly [string, unknown])[] = [];
    for (const prefix of prefixes) {
      for await (const keys of store.keys(prefix)) {
        for (const key of keys) {
          const value = store.get(key);
          if (value) listed.push([key, decodeCbor(value)]);
        }
      }
    }
    return new Reader(
      store,
      listed.sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }

  entries(prefix: string): readonly (readonly [string, unknown])[] {
    return this.#listed.filter(([key]) => key.startsWith(prefix));
  }
}

function remembering(find: (key: string) => unknown): (key: string) => unknown {
  const known = new Map<string, unknown>();
  return (key) => {
    if (known.has(key)) return known.get(key);
    const found = find(key);
    if (known.size >= REMEMBERED) known.clear();
    known.set(key, found);
    return found;
  };
}
