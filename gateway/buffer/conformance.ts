/** What every buffer must do, run on each implementation. */
import { afterEach, describe, expect, test } from "vitest";
import { encodeEvent } from "../../events/codec.ts";
import { makeEpoch } from "../../events/ids.ts";
import type { DurableBuffer, NewEvent } from "./port.ts";

export const EPOCH = makeEpoch(new Uint8Array(10).fill(7));

export function event(text: string): NewEvent {
  const stamp = { received: 1000, clock: "synced" as const, boot: "b", uptime: 1 };
  const reading = { ...stamp, device: text, metrics: { n: 1 } };
  return { type: "tidegate.reading", time: 1000, value: encodeEvent("tidegate.reading", reading) };
}

export const FIRST_EVENT: NewEvent = {
  type: "tidegate.epoch",
  time: 1,
  value: encodeEvent("tidegate.epoch", {
    received: 1,
    clock: "synced",
    boot: "b",
    uptime: 1,
    reason: "first-start",
  }),
};

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };

export interface BufferHarness {
  readonly name: string;
  /** A way to open the same buffer again and again; a new one for each test. */
  make(capacityBytes: number): { open(): DurableBuffer; remove(): Promise<void> };
}

export function bufferConformance(harness: BufferHarness): void {
  describe(`${harness.name} buffer`, () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    async function opened(capacityBytes = 1e9) {
      const made = harness.make(capacityBytes);
      cleanups.push(() => made.remove());
      const open = async () => {
        const buffer = made.open();
        await buffer.start();
        cleanups.push(() => buffer.stop());
        return buffer;
      };
      return { buffer: await open(), open };
    }

    test("a new buffer holds the event that opens its epoch, as sequence 1", async () => {
      const { buffer } = await opened();
      expect(buffer.stats()).toMatchObject({ epoch: EPOCH, accepted: 1, released: 0 });
      const [first] = await buffer.read(0, ALL);
      expect(first).toMatchObject({ sequence: 1, type: "tidegate.epoch", time: 1 });
    });

    test("sequences have no holes and follow the order of the calls", async () => {
      const { buffer } = await opened();
      const ranges = await Promise.all([
        buffer.append([event("a")]),
        buffer.append([event("b"), event("c")]),
        buffer.append([event("d")]),
      ]);
      expect(ranges).toEqual([
        { from: 2, to: 2 },
        { from: 3, to: 4 },
        { from: 5, to: 5 },
      ]);
    });

    test("what was appended is read back as it was, after a restart too", async () => {
      const { buffer, open } = await opened();
      const sent = ["a", "b", "c"].map(event);
      await buffer.append(sent.slice(0, 2));
      await buffer.append(sent.slice(2));
      const check = (events: readonly NewEvent[]) =>
        expect(events.map((e) => Buffer.from(e.value).toString("hex"))).toEqual(
          sent.map((e) => Buffer.from(e.value).toString("hex")),
        );
      check(await buffer.read(1, ALL));
      await buffer.stop();
      const again = await open();
      check(await again.read(1, ALL));
      expect(again.stats()).toMatchObject({ epoch: EPOCH, accepted: 4 });
      expect(await again.append([event("d")])).toEqual({ from: 5, to: 5 });
    });

    test("read begins in the middle of a group and keeps to its limits", async () => {
      const { buffer } = await opened();
      await buffer.append(["a", "b", "c", "d", "e"].map(event));
      const sequences = async (after: number, events: number, bytes = 1e9) =>
        (await buffer.read(after, { events, bytes })).map((e) => e.sequence);
      expect(await sequences(3, 2)).toEqual([4, 5]);
      expect(await sequences(3, 100)).toEqual([4, 5, 6]);
      expect(await sequences(3, 100, 1)).toEqual([4]);
      expect(await sequences(6, 100)).toEqual([]);
    });

    test("what is released is gone, also after a restart, and what is not stays", async () => {
      const { buffer, open } = await opened();
      await buffer.append(["a", "b", "c"].map(event));
      await buffer.append([event("d")]);
      await buffer.release(3);
      const before = buffer.stats();
      expect(before).toMatchObject({ accepted: 5, released: 3 });
      await buffer.stop();
      const again = await open();
      expect(again.stats()).toMatchObject({ accepted: 5, released: 3 });
      expect((await again.read(3, ALL)).map((e) => e.sequence)).toEqual([4, 5]);
      await again.release(5);
      expect(again.stats().bytes).toBe(0);
      await again.stop();
      const third = await open();
      expect(await third.append([event("e")])).toEqual({ from: 6, to: 6 });
    });

    test("waitBeyond resolves with the append that it waits for", async () => {
      const { buffer } = await opened();
      const waiting = buffer.waitBeyond(1, AbortSignal.timeout(10_000));
      await buffer.append([event("a")]);
      await waiting;
      await buffer.waitBeyond(1, AbortSignal.timeout(10_000));
    });

    test("waitBeyond ends with its signal", async () => {
      const { buffer } = await opened();
      const abort = new AbortController();
      const waiting = buffer.waitBeyond(1, abort.signal);
      abort.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow();
    });

    test("at its cap it refuses, still takes its own events, and takes again after a release", async () => {
      const { buffer } = await opened(400);
      let accepted = 1;
      const refused = await (async () => {
        for (;;) {
          try {
            accepted = (await buffer.append([event("a")])).to;
          } catch (error) {
            return error;
          }
        }
      })();
      expect(refused).toMatchObject({ name: "BufferError", code: "full" });
      expect(buffer.stats().accepted).toBe(accepted);
      expect(await buffer.append([event("own")], { reserved: true })).toEqual({
        from: accepted + 1,
        to: accepted + 1,
      });
      await buffer.release(accepted + 1);
      expect((await buffer.append([event("b")])).from).toBe(accepted + 2);
    });

    test("before start and after stop it says that it is closed", async () => {
      const { buffer } = await opened();
      await buffer.stop();
      await expect(buffer.append([event("a")])).rejects.toMatchObject({ code: "closed" });
      await expect(buffer.read(0, ALL)).rejects.toMatchObject({ code: "closed" });
    });
  });
}
