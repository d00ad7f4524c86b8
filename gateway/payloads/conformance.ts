/** What every object store promises. Run on each of them. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ObjectStore, StoreObject } from "./port.ts";

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** The same store as another process has it. */
  another(): ObjectStore;
  /** Its bytes as they are in truth, past the store's own code. */
  stored(key: string): Promise<Buffer | undefined>;
  end(): Promise<void>;
}

export function objectOf(key: string, bytes: Buffer, contentType?: string): StoreObject {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { key, bytes, sha256, ...(contentType === undefined ? {} : { contentType }) };
}

/** Bytes that no compression and no line end conversion leaves as they are. */
export function noise(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0, x = seed; at < size; at += 1) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = x >>> 16;
  }
  return bytes;
}

/** A comparison that tells where they differ takes seconds for a picture. */
function same(found: Buffer | undefined, wanted: Buffer): boolean {
  return found?.equals(wanted) ?? false;
}

export function describeObjectStore(
  name: string,
  make: () => Promise<StoreUnderTest>,
  options: { readonly timeout?: number } = {},
): void {
  describe(`${name} as an object store`, options, () => {
    let its: StoreUnderTest;
    let signal: AbortSignal;
    beforeEach(async () => {
      its = await make();
      signal = AbortSignal.timeout(20_000);
    });
    afterEach(async () => {
      await its.end();
    });

    test("gives back what it took, also to another process, and nothing else is there", async () => {
      for (const [key, size] of [
        ["gw-1/2026-11-21/a.jpg", 5_000_000],
        ["gw-1/2026-11-21/b.bin", 1],
        ["gw-2/undated/c.bin", 0],
        ["gw-2/2026-11-21/d.e-f_g.wav", 70_001],
      ] as const) {
        const object = objectOf(key, noise(size, size + 1), "image/jpeg");
        await its.store.put(object, signal);
        expect(same(await its.stored(key), object.bytes)).toBe(true);
        expect(same(await its.another().get(key, signal), object.bytes)).toBe(true);
      }
      expect(await its.store.get("gw-1/2026-11-21/none.bin", signal)).toBeUndefined();
      expect(await its.store.get("gw-1/2026-11-20/a.jpg", signal)).toBeUndefined();
    });

    test("the same again is the same; what half of it was there before does not matter", async () => {
      const object = objectOf("gw/2026-11-21/a.bin", noise(300_000));
      await its.store.put(object, signal);
      await its.another().put(object, signal);
      expect(same(await its.stored(object.key), object.bytes)).toBe(true);
    });

    test("what is not what its digest says is refused, and leaves nothing", async () => {
      const object = objectOf("gw/2026-11-21/a.bin", noise(300_000));
      const changed = Buffer.from(object.bytes);
      changed[123_456] = (changed[123_456] ?? 0) ^ 1;
      await expect(its.store.put({ ...object, bytes: changed }, signal)).rejects.toMatchObject({
        name: "ObjectStoreError",
      });
      expect(await its.stored(object.key)).toBeUndefined();
      await its.store.put(object, signal);
      await expect(its.store.put({ ...object, bytes: changed }, signal)).rejects.toMatchObject({
        name: "ObjectStoreError",
      });
      expect(same(await its.stored(object.key), object.bytes)).toBe(true);
    });

    test("an object is removed, and one that is not there is removed already", async () => {
      const object = objectOf("gw/2026-11-21/a.bin", noise(10));
      await its.store.put(object, signal);
      await its.store.remove(object.key, signal);
      expect(await its.stored(object.key)).toBeUndefined();
      await its.store.remove(object.key, signal);
    });

    test("what is called off ends with the signal's reason", async () => {
      const calledOff = new AbortController();
      const reason = new Error("called off");
      const pace = async () => {
        calledOff.abort(reason);
        await new Promise((resolve) => setImmediate(resolve));
      };
      const object = objectOf("gw/2026-11-21/a.bin", noise(3_000_000));
      await expect(its.store.put(object, calledOff.signal, pace)).rejects.toBe(reason);
      expect(await its.stored(object.key)).toBeUndefined();
    });

    test("the pace is told of every byte", async () => {
      let told = 0;
      const pace = async (bytes: number) => {
        told += bytes;
      };
      await its.store.put(objectOf("gw/2026-11-21/a.bin", noise(100_001)), signal, pace);
      expect(told).toBe(100_001);
    });

    test("a reference is a URI, and tells objects apart", () => {
      const [a, b] = [
        its.store.refOf("gw/2026-11-21/a.bin"),
        its.store.refOf("gw/2026-11-21/b.bin"),
      ];
      expect(new URL(a).pathname).toMatch(/gw\/2026-11-21\/a\.bin$/);
      expect(a).not.toBe(b);
    });
  });
}
