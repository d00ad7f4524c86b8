/**
 * A buffer that was used, and the judge of what a buffer gives back: support for the tests that damage one.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeEvent } from "../../events/codec.ts";
import { type Epoch, makeEpoch } from "../../events/ids.ts";
import { event, STAMP } from "./conformance.ts";
import { LevelBuffer } from "./leveldb.ts";
import type { BufferedEvent } from "./port.ts";

export const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };

export function temporary(): string {
  return mkdtempSync(join(tmpdir(), "tidegate-damage-"));
}

let epochs = 0;

export function bufferIn(root: string, createIfMissing = false): LevelBuffer {
  return new LevelBuffer({
    directory: join(root, "buffer"),
    createIfMissing,
    makeEpoch: () => {
      epochs += 1;
      // Processes share a directory in some tests, and must not make the same epoch.
      const random = crypto.getRandomValues(new Uint8Array(10));
      return makeEpoch(random.map((byte, i) => (i < 3 ? (epochs >> (5 * i)) & 31 : byte)));
    },
    stamp: () => STAMP,
    capacityBytes: 1e9,
    policy: "refuse",
    freeFloorBytes: 0,
    commitWindowMs: 0,
    limits: { idleReleaseMs: 0 },
  });
}

export const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

/** What was acknowledged and not released, by event id. */
export type Acknowledged = Map<string, string>;

export interface Use {
  readonly readings: number;
  readonly released: number;
  /** Largest number of readings in one commit. */
  readonly group: number;
  /** Is given the directory while half of it was written. */
  readonly onHalf?: (root: string) => Promise<void>;
}

/** Uses a buffer in the directory and stops it. */
export async function use(root: string, { readings, released, group: most, onHalf }: Use) {
  const buffer = bufferIn(root, true);
  await buffer.start();
  const { epoch } = buffer.stats();
  const acknowledged: Acknowledged = new Map();
  let halved = false;
  for (let sequence = 2; sequence <= readings; ) {
    const group = Array.from({ length: 1 + (sequence % most) }, (_, i) =>
      event(`device-${sequence + i}-${"x".repeat(1500)}`),
    );
    const { from } = await buffer.append(group);
    group.forEach((each, i) => {
      if (from + i > released) acknowledged.set(idOf(epoch, from + i), hex(each.value));
    });
    sequence += group.length;
    if (!halved && sequence > readings / 2) {
      halved = true;
      await onHalf?.(root);
    }
  }
  await buffer.release(released);
  await buffer.stop();
  return { root, epoch, acknowledged };
}

export function idOf(epoch: Epoch, sequence: number): string {
  return `${epoch}-${sequence}`;
}

export interface Verdict {
  readonly present: number;
  readonly declared: number;
}

/** Compares what a buffer gives with what was acknowledged. @throws where the promise is broken */
export function judge(acknowledged: Acknowledged, events: readonly BufferedEvent[]): Verdict {
  const present = new Set<string>();
  const declared = new Set<string>();
  for (const { epoch, sequence, type, value } of events) {
    const id = `${epoch}-${sequence}`;
    if (type === "tidegate.loss") {
      const { from, to } = decodeEvent(type, value);
      for (let lost = from; lost <= to; lost += 1) declared.add(`${epoch}-${lost}`);
    } else if (acknowledged.has(id)) {
      if (acknowledged.get(id) !== hex(value)) throw new Error(`${id} has another value`);
      present.add(id);
    } else if (type === "tidegate.reading") throw new Error(`${id} was never acknowledged`);
  }
  for (const id of acknowledged.keys()) {
    if (present.has(id) && declared.has(id)) throw new Error(`${id} is there and declared lost`);
    if (!present.has(id) && !declared.has(id)) throw new Error(`${id} is lost and not declared`);
  }
  const lost = [...declared].filter((id) => acknowledged.has(id)).length;
  return { present: present.size, declared: lost };
}
