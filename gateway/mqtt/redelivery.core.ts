/**
 * Which QoS 1 message of a session is one that came before: the rule, and what is remembered for it. Pure.
 *
 * A device that did not see a PUBACK sends the message again with DUP, mostly over a new connection. It is the same one
 * for certain only where the packet id cannot have been used for another message in between, so a DUP is taken for what
 * was stored only where
 *  1. topic and content are the same (hash), and
 *  2. its id is still open: the message before is on its way to the disk; or
 *  3. its id was acknowledged on this connection or the one just before, it was not used afresh since, and the session
 *     was not seen to use ids again early: on one connection an acknowledged id within `RECENT` publishes, ever; or, over
 *     connections, the ids of late as soon as the one in question could have come round again (`run`).
 * Everything else is new. The last part is there because a device that always takes id 1, or the lowest free one, says
 * the same of a message that it sends again and of a new one that it had sent into a broken connection: the reading of a
 * thing that stands still has the same content. Until a session has shown it, it is taken to count its ids up.
 */

/** Publishes of a session that are remembered; older ones cannot be told apart any more. */
export const RECENT = 64;

/** What is remembered of one publish, as it is kept on disk. */
export interface PublishRecord {
  /** The how manieth publish of the session it is, from 0. */
  readonly position: number;
  readonly id: number;
  /** Of topic and content. */
  readonly hash: bigint;
  /** The how manieth connection of the session it came over last; those over which no message came do not count. */
  readonly connection: number;
  /** The session was seen to use an acknowledged id again early. */
  readonly reuses: boolean;
}

/** A publish that is not on disk yet; whoever sends it again waits with it. */
export interface OpenPublish<Waiting> {
  readonly record: PublishRecord;
  readonly joined: Waiting[];
}

export type Judgement<Waiting> =
  | { readonly kind: "new" }
  | { readonly kind: "open"; readonly publish: OpenPublish<Waiting> }
  /** With what is to be remembered of it from now on. */
  | { readonly kind: "stored"; readonly record: PublishRecord };

/** Later than any: what came over it is never taken for the same. */
const NO_CONNECTION = 0xffff_ffff;

const NEW = { kind: "new" } as const;

export class RedeliveryTable<Waiting> {
  /** The last `RECENT` publishes; a place is taken by position modulo `RECENT`. */
  readonly #ids = new Uint16Array(RECENT);
  readonly #hashes = new BigUint64Array(RECENT);
  readonly #connections = new Uint32Array(RECENT);
  readonly #open = new Map<number, OpenPublish<Waiting>>();
  /** Position of the next publish, and of the oldest that is remembered. */
  #next = 0;
  #oldest = 0;
  /** Different ids in a row, up to the newest, no more than are remembered. What came before the first counts as such. */
  #run = RECENT;
  #reuses = false;

  /** @param dup the packet's DUP flag */
  judge(id: number, hash: bigint, dup: boolean, connection: number): Judgement<Waiting> {
    // [MQTT-3.3.1-1] Without DUP it was never sent before.
    if (!dup) return NEW;
    const open = this.#open.get(id);
    if (open) {
      if (open.record.hash !== hash) return NEW;
      // It will be acknowledged on this connection. Not on disk, as long as nobody knows whether its event will be.
      const { position } = open.record;
      if (position >= this.#oldest) this.#connections[position % RECENT] = connection;
      return { kind: "open", publish: open };
    }
    const position = this.#find(id);
    if (position === undefined) return NEW;
    const place = position % RECENT;
    const age = connection - (this.#connections[place] ?? 0);
    if (this.#hashes[place] !== hash || age < 0 || age > 1) return NEW;
    // Had the device used the id again for the message after the newest one, its ids would come round after so many.
    if (this.#reuses || this.#run <= this.#next - position) return NEW;
    // Acknowledged on this connection too, so that the next one is the one after it.
    this.#connections[place] = connection;
    const record = { position, id, hash, connection, reuses: this.#reuses };
    return { kind: "stored", record };
  }

  /**
   * Takes a publish that was judged new.
   * @returns what to keep on disk with its event; its place there is `position % RECENT`
   */
  add(id: number, hash: bigint, dup: boolean, connection: number): OpenPublish<Waiting> {
    const before = this.#find(id);
    const distance = before === undefined ? RECENT : this.#next - before;
    if (!dup && before !== undefined && !this.#open.has(id)) {
      // Over another connection it may be a device that has lost its memory, and counts up from 1 again.
      if (this.#connections[before % RECENT] === connection) this.#reuses = true;
    }
    this.#run = Math.min(this.#run + 1, distance);
    const record: PublishRecord = {
      position: this.#next,
      id,
      hash,
      connection,
      reuses: this.#reuses,
    };
    this.#place(record);
    const publish: OpenPublish<Waiting> = { record, joined: [] };
    this.#open.set(id, publish);
    return publish;
  }

  /**
   * It is on disk.
   * @returns what is to be remembered of it now, where it was sent again meanwhile over another connection
   */
  close(publish: OpenPublish<Waiting>): PublishRecord | undefined {
    this.#forgetOpen(publish);
    const { record } = publish;
    const connection = this.#connections[record.position % RECENT] ?? 0;
    return record.position < this.#oldest || connection === record.connection
      ? undefined
      : { ...record, connection };
  }

  #forgetOpen(publish: OpenPublish<Waiting>): void {
    // A device that lost its memory may have begun another one under the id.
    if (this.#open.get(publish.record.id) === publish) this.#open.delete(publish.record.id);
  }

  /** It will never be on disk: its id counts as used, but nothing is the same as it. */
  cancel(publish: OpenPublish<Waiting>): void {
    this.#forgetOpen(publish);
    const { position } = publish.record;
    if (position >= this.#oldest) this.#connections[position % RECENT] = NO_CONNECTION;
  }

  /** Takes up what was on disk, in any order. All of it counts as stored. @returns the newest connection seen */
  restore(records: readonly PublishRecord[]): number {
    const sorted = [...records].sort((a, b) => b.position - a.position);
    const newest = sorted[0];
    if (!newest) return 0;
    // What lies behind a hole is forgotten: an id that was used in the hole would look as if it had not been.
    let kept = 0;
    while (sorted[kept]?.position === newest.position - kept && kept < RECENT) kept += 1;
    const row = sorted.slice(0, kept).reverse();
    this.#oldest = row[0]?.position ?? 0;
    this.#next = this.#oldest;
    // Ids that were used again behind a hole are not known.
    this.#run = this.#oldest === 0 || kept === RECENT ? RECENT : 0;
    for (const record of row) {
      const before = this.#find(record.id);
      const distance = before === undefined ? RECENT : this.#next - before;
      this.#run = Math.min(this.#run + 1, distance);
      this.#place(record);
    }
    this.#reuses = newest.reuses;
    return Math.max(...row.map(({ connection }) => connection));
  }

  #place(record: PublishRecord): void {
    const place = record.position % RECENT;
    this.#ids[place] = record.id;
    this.#hashes[place] = record.hash;
    this.#connections[place] = record.connection;
    this.#next = record.position + 1;
    this.#oldest = Math.max(this.#oldest, this.#next - RECENT);
  }

  /** @returns the newest position of the id among those that are remembered */
  #find(id: number): number | undefined {
    for (let position = this.#next - 1; position >= this.#oldest; position -= 1) {
      if (this.#ids[position % RECENT] === id) return position;
    }
    return undefined;
  }
}
