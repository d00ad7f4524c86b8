/** One partition of one input of a topology: what was read of it, and how far it is stepped and committed. */
import type { StoredRecord } from "../port.ts";
import { seal, unseal } from "../seal.ts";
import type { Topic } from "./catalog.ts";
import type { Lane } from "./caught-up.ts";
import { positionKey, readU64, u64 } from "./keys.ts";
import type { Store } from "./store.ts";

export class InputLane implements Lane {
  readonly topic: Topic;
  readonly partition: number;
  readonly #key: Buffer;
  /** Next offset to process, as committed. */
  done = 0;
  /** Next offset to step. */
  #next = 0;
  #read: readonly StoredRecord[] = [];
  #at = 0;

  constructor(topology: string, topic: Topic, partition: number) {
    this.topic = topic;
    this.partition = partition;
    this.#key = positionKey(topology, topic.id, partition);
  }

  get end(): number {
    return this.topic.heads[this.partition]?.end ?? 0;
  }
  get moved(): boolean {
    return this.#next !== this.done;
  }
  /** Time of sending of what comes next, where it was read already. */
  get since(): number | undefined {
    return this.done < this.end ? this.peek()?.timestamp : undefined;
  }
  /** Stepped up to the end of the log. */
  get exhausted(): boolean {
    return this.#next >= this.end;
  }

  /** Takes the position that is on disk; the start where there is none. */
  async load(store: Store): Promise<void> {
    const value = await store.read((level) => level.get(this.#key));
    const payload = value && unseal(this.#key, value);
    if (value && !payload) throw new Error(`the position in ${this.topic.name} is damaged on disk`);
    this.done = payload ? readU64(payload, 0) : 0;
    this.#next = this.done;
    this.#read = [];
    this.#at = 0;
  }

  /** Reads on where everything read is stepped and there is more. */
  async fill(store: Store, wanted: number): Promise<void> {
    const { end } = this;
    if (this.#at < this.#read.length || this.#next >= end) return;
    this.#read = await store.records(this.topic, this.partition, this.#next, end, wanted);
    this.#at = 0;
    const first = this.#read[0]?.offset ?? end;
    if (first > this.#next && this.topic.cleanup === "delete") {
      store.settings.logger.warn(
        { topic: this.topic.name, partition: this.partition, from: this.#next, to: first - 1 },
        "records are gone before they were processed (retention or damage)",
      );
    }
    // Nothing is left in that stretch: a compacted or expired one.
    if (this.#read.length === 0) this.#next = end;
  }

  peek(): StoredRecord | undefined {
    return this.#read[this.#at];
  }
  take(): void {
    this.#next = (this.#read[this.#at] as StoredRecord).offset + 1;
    this.#at++;
  }

  position(): readonly [Buffer, Buffer] {
    return [this.#key, seal(this.#key, u64(this.#next))];
  }
  committed(): void {
    this.done = this.#next;
  }
}
