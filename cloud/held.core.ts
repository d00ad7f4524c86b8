/**
 * Readings that were sent before their gateway knew the time, kept until a clock event of the same boot says it. Pure.
 *
 * They stand in a queue in the order of the journal. A clock event gives its boot an offset, and what waits of that boot
 * happened at `offset + uptime`. A boot that ended without one never gets one, because a gateway writes it within the
 * boot: once an event of another boot has come, what waits of the old one is refused. At most `MOST_HELD` wait for a gateway;
 * what comes beyond is refused at once. At most `MOST_TAKEN` leave the queue with one record, so that no step takes
 * long; heartbeats are records too, so the queue empties by itself.
 *
 * State: `held/<gateway>` → the queue's ends and the offsets known; `held/<gateway>/<number>` → one reading.
 */
import { readStamp } from "../events/stamp.ts";
import type { StateView } from "../stream/port.ts";
import { remembered } from "./remembered.core.ts";

/** Nearly an hour of ten readings a second; 100 to 200 bytes of state each. */
export const MOST_HELD = 30_000;

/** A few ms of work. */
export const MOST_TAKEN = 500;

/** Boots whose offset is remembered while readings of theirs wait. */
const MOST_BOOTS = 8;

/** A reading without a time: of its metrics only the numbers. */
export type Held = readonly [
  boot: string,
  uptime: number,
  device: string,
  metrics: Readonly<Record<string, number>>,
  /** Where it stands in the topic. */
  offset: number,
  timestamp: number,
];

interface Queue {
  readonly first: number;
  readonly next: number;
  /** Of the newest event of the journal. */
  readonly boot: string;
  readonly offsets: readonly (readonly [boot: string, offset: number])[];
}

/** What leaves the queue: with its time, or without one for ever. */
export interface Taken {
  readonly held: Held;
  /** ms since 1970. */
  readonly time: number | undefined;
}

const heldKey = remembered((gateway: string) => `held/${gateway}`);

type State = Pick<StateView, "get"> & { set(key: string, value: unknown): void };

export class HeldReadings {
  readonly #state: State;
  readonly #gateway: string;
  readonly #key: string;
  #queue: Queue | undefined;

  constructor(state: State, gateway: string) {
    this.#state = state;
    this.#gateway = gateway;
    this.#key = heldKey(gateway);
    this.#queue = state.get(this.#key) as Queue | undefined;
  }

  /** An event of the journal: says which boot it has come to. Costs nothing while nothing was ever held. */
  sees(value: Uint8Array | null): void {
    const queue = this.#queue;
    const boot = queue && value && readStamp(value)?.boot;
    if (boot && boot !== queue.boot) this.#put({ ...queue, boot });
  }

  /** A clock event: what its boot's uptime means. */
  knows(boot: string, offset: number): void {
    const queue = this.#queue ?? { first: 1, next: 1, boot, offsets: [] };
    const others = queue.offsets.filter(([other]) => other !== boot);
    const offsets = [...others, [boot, offset] as const].slice(-MOST_BOOTS);
    this.#put({ ...queue, boot, offsets });
  }

  /** Wall time minus uptime of the boot, where a clock event has told it. */
  offsetOf(boot: string): number | undefined {
    return this.#queue?.offsets.find(([other]) => other === boot)?.[1];
  }

  /** @returns false where too many wait already */
  hold(held: Held): boolean {
    const queue = this.#queue ?? { first: 1, next: 1, boot: held[0], offsets: [] };
    if (queue.next - queue.first >= MOST_HELD) return false;
    this.#state.set(this.#entry(queue.next), held);
    this.#put({ ...queue, next: queue.next + 1, boot: held[0] });
    return true;
  }

  /** Takes out what need not wait any more, oldest first. */
  *take(): Generator<Taken> {
    for (let count = 0; count < MOST_TAKEN; count += 1) {
      const queue = this.#queue;
      if (!queue || queue.first === queue.next) return;
      const key = this.#entry(queue.first);
      const held = this.#state.get(key) as Held;
      const [boot, uptime] = held;
      const offset = this.offsetOf(boot);
      if (offset === undefined && boot === queue.boot) return;
      this.#state.set(key, undefined);
      this.#put({ ...queue, first: queue.first + 1 });
      yield { held, time: offset === undefined ? undefined : Math.round(offset + uptime) };
    }
  }

  #entry(number: number): string {
    return `held/${this.#gateway}/${number}`;
  }

  #put(queue: Queue): void {
    this.#queue = queue;
    this.#state.set(this.#key, queue);
  }
}
