/** The inputs of one partition of a topology side by side: what is read ahead, what comes next, what is committed. */
import type { StoredRecord } from "../port.ts";

export interface Lane {
  readonly topic: string;
  /** Next offset to process, as committed. */
  readonly position: number;
  /** Next offset to fetch. */
  readonly ahead: number;
  /** Next free offset of the log, as last seen. */
  readonly end: number;
}

interface MutableLane {
  readonly topic: string;
  position: number;
  ahead: number;
  end: number;
  queue: StoredRecord[];
}

export class Lanes {
  readonly #lanes = new Map<string, MutableLane>();

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  clear(): void {
    this.#lanes.clear();
  }

  begin(topic: string, position: number, end: number): void {
    this.#lanes.set(topic, { topic, position, ahead: position, end, queue: [] });
  }

  /** As committed. */
  positions(): Map<string, number> {
    return new Map([...this.#lanes.values()].map((lane) => [lane.topic, lane.position]));
  }

  /** Nothing of what stood in the log when last looked is left to do. */
  caughtUp(): boolean {
    return [...this.#lanes.values()].every((lane) => lane.position >= lane.end);
  }

  withRoom(records: number): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.queue.length < records);
  }

  /** False where the fetch is not for where we are (any more). */
  offer(fetch: {
    readonly topic: string;
    readonly position: number;
    readonly records: readonly StoredRecord[];
    readonly next: number;
    readonly end: number;
  }): boolean {
    const lane = this.#lanes.get(fetch.topic);
    if (lane?.ahead !== fetch.position) return false;
    // Not push(...records): a fetch may hold more than a call takes arguments.
    lane.queue = lane.queue.length === 0 ? [...fetch.records] : lane.queue.concat(fetch.records);
    lane.ahead = fetch.next;
    lane.end = fetch.end;
    return true;
  }

  /** Up to so many records, each input in its order and among them the one that was sent first. */
  take(limit: number): StoredRecord[] {
    const heads = [...this.#lanes.values()].map((lane) => ({ lane, at: 0 }));
    const taken: StoredRecord[] = [];
    while (taken.length < limit) {
      let first: (typeof heads)[number] | undefined;
      let earliest = Number.POSITIVE_INFINITY;
      for (const head of heads) {
        const time = head.lane.queue[head.at]?.timestamp;
        if (time === undefined || time >= earliest) continue;
        first = head;
        earliest = time;
      }
      const record = first?.lane.queue[first.at];
      if (!first || !record) break;
      taken.push(record);
      first.at++;
    }
    for (const { lane, at } of heads) if (at > 0) lane.queue = lane.queue.slice(at);
    return taken;
  }

  /** Positions once everything taken is committed; behind marks and aborted records too, if nothing before them waits. */
  next(): Map<string, number> {
    return new Map(
      [...this.#lanes.values()].map((lane) => [lane.topic, lane.queue[0]?.offset ?? lane.ahead]),
    );
  }

  wouldMove(positions: ReadonlyMap<string, number>): boolean {
    return [...this.#lanes.values()].some((lane) => positions.get(lane.topic) !== lane.position);
  }

  committed(positions: ReadonlyMap<string, number>): void {
    for (const lane of this.#lanes.values()) {
      lane.position = positions.get(lane.topic) ?? lane.position;
    }
  }
}
