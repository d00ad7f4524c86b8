/**
 * The switch of a partition's state as one step, however large it is, without all of it in memory.
 *
 * What is to be written is put beside first, part by part, under keys that nobody reads (`x`). One small write then decides
 * it (`y`), and the parts are carried out one after another: each in one batch with its own removal. After a crash before
 * the decision the parts are thrown away; after it they are carried out before the partition is processed again. So the
 * switch happens as a whole or not at all, and no record of it is put out twice.
 */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import type { EncodedChange } from "../partition-state.ts";
import type { Output, Topology } from "../port.ts";
import { seal, unseal } from "../seal.ts";
import { OutputBatch } from "./batch.ts";
import type { Topic } from "./catalog.ts";
import { after, stagedKey, switchKey } from "./keys.ts";
import { sealed } from "./state.ts";
import type { Store } from "./store.ts";

interface Part {
  readonly changes: readonly (readonly [key: string, value: Uint8Array | null])[];
  readonly outputs: readonly Output[];
}

const DECIDED = Buffer.from([1]);

export class StateSwitch {
  readonly #store: Store;
  readonly #topology: Topology;
  readonly #partition: number;
  #parts = 0;

  constructor(store: Store, topology: Topology, partition: number) {
    this.#store = store;
    this.#topology = topology;
    this.#partition = partition;
  }

  /** Puts a part beside. */
  async stage(part: {
    readonly changes: readonly EncodedChange[];
    readonly outputs: readonly Output[];
  }): Promise<void> {
    const changes = part.changes.map(({ key, value }) => [key, value] as const);
    const staged: Part = { changes, outputs: part.outputs };
    const key = stagedKey(this.#topology.name, this.#partition, this.#parts++);
    await this.#store.commit({ puts: [[key, seal(key, encodeCbor(staged))]] });
  }

  /** The moment of the switch: from here on it happens, whatever else does. */
  async decide(): Promise<void> {
    const key = switchKey(this.#topology.name, this.#partition);
    await this.#store.commit({ puts: [[key, seal(key, DECIDED)]] });
  }

  /** Carries out what was decided, or throws away what was not. To be called before the partition is processed. */
  async settle(): Promise<void> {
    const decision = switchKey(this.#topology.name, this.#partition);
    const decided = await this.#store.read((level) => level.get(decision));
    if (decided && !unseal(decision, decided)) throw new Error("a switch is damaged on disk");
    const prefix = stagedKey(this.#topology.name, this.#partition);
    for (;;) {
      const found = await this.#store.read(async (level) => {
        const iterator = level.iterator({ gte: prefix, lt: after(prefix), limit: 1 });
        try {
          return await iterator.next();
        } finally {
          await iterator.close();
        }
      });
      if (!found) break;
      const [key, value] = found;
      await this.#store.commit(decided ? this.#carriedOut(key, value) : { deletes: [key] });
    }
    if (decided) await this.#store.commit({ deletes: [decision] });
  }

  #carriedOut(key: Buffer, value: Buffer) {
    const payload = unseal(key, value);
    if (!payload) throw new Error("a switch is damaged on disk");
    const part = decodeCbor(payload) as Part;
    const { name, outputs } = this.#topology;
    const topics = new Map(
      outputs.map(({ topic, coalesce }): [string, { topic: Topic; coalesce: boolean }] => [
        topic,
        { topic: this.#store.topic(topic), coalesce },
      ]),
    );
    const batch = new OutputBatch(this.#topology, topics);
    for (const output of part.outputs) batch.add(output);
    const changes = part.changes.map(([one, now]) => ({ key: one, value: now }));
    const { puts, deletes } = sealed(name, this.#partition, changes);
    return { appends: batch.appends(), puts, deletes: [...deletes, key] };
  }
}
