/** An object store that is a map, for tests and simulations: it can be away, refuse, and lose an answer. */
import { createHash } from "node:crypto";
import { type ObjectStore, ObjectStoreError, type Pace, type StoreObject } from "./port.ts";

export class MemoryStore implements ObjectStore {
  readonly kind = "s3";
  readonly place = "memory";
  readonly objects: Map<string, Buffer>;
  /** Why nothing goes; undefined while it does. */
  away: ObjectStoreError | undefined;
  /** Keys that it does not take. */
  readonly refuses = new Set<string>();
  /** Takes the next objects, and says that it was cut off. */
  loseAnswers = 0;
  /** What a put waits for. */
  hold: Promise<void> | undefined;
  puts = 0;

  constructor(objects: Map<string, Buffer> = new Map()) {
    this.objects = objects;
  }

  refOf(key: string): string {
    return `memory://store/${key}`;
  }

  async put({ key, bytes, sha256 }: StoreObject, signal: AbortSignal, pace?: Pace): Promise<void> {
    this.puts += 1;
    await this.#gate(signal);
    await pace?.(bytes.length, signal);
    if (this.refuses.has(key)) throw new ObjectStoreError("refused", `400 to ${key}`);
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
      throw new ObjectStoreError("refused", "400 BadDigest");
    }
    this.objects.set(key, Buffer.from(bytes));
    if (this.loseAnswers === 0) return;
    this.loseAnswers -= 1;
    throw new ObjectStoreError("unreachable", "the connection was cut");
  }

  async get(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    await this.#gate(signal);
    return this.objects.get(key);
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    await this.#gate(signal);
    this.objects.delete(key);
  }

  async #gate(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.hold;
    if (this.away) throw this.away;
  }
}
