/**
 * Every record that a compacted topic ever had on its disk: the log keeps the newest of each key, while a processor has seen
 * those before it too, and an oracle has to know of them.
 */
import { decodeCbor } from "../../events/codec.ts";
import { decodeBlock } from "../../stream/embedded/block.ts";
import { blockOffset, topicKey } from "../../stream/embedded/keys.ts";
import type { StoredRecord } from "../../stream/port.ts";
import { unseal } from "../../stream/seal.ts";
import type { Operation } from "./memory-database.ts";

const BLOCK = 0x72;

export class TopicHistory {
  readonly #topic: string;
  readonly #key: Buffer;
  #id: number | undefined;
  readonly #blocks: { readonly partition: number; readonly key: Buffer; readonly value: Buffer }[] =
    [];

  constructor(topic: string) {
    this.#topic = topic;
    this.#key = topicKey(topic);
  }

  /** What has reached the disk. */
  applied(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.type === "del") continue;
      const { key, value } = operation;
      if (this.#id === undefined && key.equals(this.#key)) this.#id = idIn(key, value);
      if (key[0] !== BLOCK || key.readUInt32BE(1) !== this.#id) continue;
      this.#blocks.push({ partition: key.readUInt32BE(5), key, value });
    }
  }

  records(): readonly StoredRecord[] {
    return this.#blocks.flatMap(({ partition, key, value }) =>
      decodeBlock(this.#topic, partition, blockOffset(key), value),
    );
  }
}

function idIn(key: Buffer, value: Buffer): number | undefined {
  const payload = unseal(key, value);
  return payload && (decodeCbor(payload) as { readonly id: number }).id;
}
