/** The inputs of one partition of a topology side by side: what is read ahead, what comes next, what is committed. */
import type { StoredRecord } from "../port.ts";
import type { RecordBatch } from "./record-batch.ts";

export interface Lane {
  readonly topic: string;
  /** Next offset to process, as committed. */
  readonly position: number;
  /** Next offset to fetch. */
  readonly ahead: number;
  /** Next free offset of the log, as last seen. */
  readonly end: number;
  /** When the next record was sent, ms since 1970; undefined where it is not fetched yet. */
  readonly since: number | undefined;
}

interface MutableLane {
  readonly topic: string;
  position: number;
  ahead: number;
  end: number;
  /** Fetched and not looked at, as it came. */
  packed: RecordBatch[];
  packedBytes: number;
  /** Unpacked, and how many of it are taken. */
  queue: readonly StoredRecord[];
  taken: number;
}

export class Lanes {
  readonly #lanes = new Map<string, MutableLane>();

  *all(): Iterable<Lane> {
    for (const lane of this.#lanes.values()) yield laneOf(lane);
  }

  clear(): void {
    this.#lanes.clear();
  }

  begin(topic: string, position: number, end: number): void {
    const nothing = { packed: [], packedBytes: 0, queue: [], taken: 0 };
    this.#lanes.set(topic, { topic, position, ahead: position, end, ...nothing });
  }

  /** As committed. */
  positions(): Map<string, number> {
    return new Map([...this.#lanes.values()].map((lane) => [lane.topic, lane.position]));
  }

  /** Nothing of what stood in the log when last looked is left to do. */
  caughtUp(): boolean {
    return [...this.#lanes.values()].every((lane) => lane.position >= lane.end);
  }

  /** Whether anything that is here was not taken yet. */
  hasRecords(): boolean {
    return [...this.#lanes.values()].some(
      (lane) => lane.packed.length > 0 || lane.taken < lane.queue.length,
    );
  }

  /** Whether the log has more of a lane that has nothing here: it is being fetched. */
  awaited(): boolean {
    return [...this.#lanes.values()].some(
      (lane) =>
        lane.ahead < lane.end && lane.packed.length === 0 && lane.taken >= lane.queue.length,
    );
  }

  /** Those that hold less than this much read ahead, bytes on the wire. */
  withRoom(bytes: number): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.packedBytes < bytes).map(laneOf);
  }

  /** False where the fetch is not for where we are (any more). */
  offer(fetch: {
    readonly topic: string;
    readonly position: number;
    readonly batches: readonly RecordBatch[];
    readonly next: number;
    readonly end: number;
  }): boolean {
    const lane = this.#lanes.get(fetch.topic);
    if (lane?.ahead !== fetch.position) return false;
    lane.packed.push(...fetch.batches);
    for (const { bytes } of fetch.batches) lane.packedBytes += bytes;
    lane.ahead = fetch.next;
    lane.end = fetch.end;
    return true;
  }

  /** Up to so many records, each input in its order and among them the one that was sent first. */
  take(limit: number): StoredRecord[] {
    const lanes = [...this.#lanes.values()];
    const taken: StoredRecord[] = [];
    while (taken.length < limit) {
      let first: MutableLane | undefined;
      let record: StoredRecord | undefined;
      for (const lane of lanes) {
        const head = headOf(lane);
        if (!head || (record && head.timestamp >= record.timestamp)) continue;
        first = lane;
        record = head;
      }
      if (!first || !record) break;
      taken.push(record);
      first.taken += 1;
    }
    return taken;
  }

  /** Positions once everything taken is committed; behind marks and aborted records too, if nothing before them waits. */
  next(): Map<string, number> {
    return new Map(
      [...this.#lanes.values()].map((lane) => [lane.topic, headOf(lane)?.offset ?? lane.ahead]),
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

function laneOf(lane: MutableLane): Lane {
  const { topic, position, ahead, end } = lane;
  return { topic, position, ahead, end, since: lane.queue[lane.taken]?.timestamp };
}

/** The next record of a lane; unpacks a batch where that is needed. */
function headOf(lane: MutableLane): StoredRecord | undefined {
  while (lane.taken >= lane.queue.length) {
    const batch = lane.packed.shift();
    lane.queue = batch?.records() ?? [];
    lane.taken = 0;
    if (!batch) return undefined;
    lane.packedBytes -= batch.bytes;
  }
  return lane.queue[lane.taken];
}
