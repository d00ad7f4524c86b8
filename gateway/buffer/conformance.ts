/** What every buffer must do, run on each implementation. */
import { afterEach, describe, expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import { makeEpoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import type { BufferedEvent, DurableBuffer, FullPolicy, NewEvent, Waiter } from "./port.ts";

export const EPOCH = makeEpoch(new Uint8Array(10).fill(7));

export function event(text: string): NewEvent {
  const stamp = { received: 1000, clock: "synced" as const, boot: "b", uptime: 1 };
  const reading = { ...stamp, device: text, metrics: { n: 1 } };
  return { type: "tidegate.reading", time: 1000, value: encodeEvent("tidegate.reading", reading) };
}

export const STAMP: Stamp = { received: 1, clock: "synced", boot: "b", uptime: 1 };

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };

export interface BufferHarness {
  readonly name: string;
  /** A way to open the same buffer again and again; a new one for each test. */
  make(options: { readonly capacityBytes: number; readonly policy: FullPolicy }): {
    open(): DurableBuffer;
    remove(): Promise<void>;
  };
}

/** A waiter that can be awaited. */
export function waiter(): Waiter & { readonly told: Promise<number> } {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  promise.catch(() => undefined);
  return { stored: resolve, refused: reject, told: promise };
}

/** Each note is a commit of its own, behind those that have room. */
async function untilFull(buffer: DurableBuffer): Promise<void> {
  while (buffer.stats().state !== "full") await buffer.note([]);
  await buffer.note([]);
}

const text = (e: NewEvent) => Buffer.from(e.value).toString("hex");
const sequences = (events: readonly BufferedEvent[]) => events.map((e) => e.sequence);

export function bufferConformance(harness: BufferHarness): void {
  describe(`${harness.name} buffer`, () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    async function opened(capacityBytes = 1e9, policy: FullPolicy = "refuse") {
      const made = harness.make({ capacityBytes, policy });
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
      expect(first).toMatchObject({
        ...{ position: 1, epoch: EPOCH, sequence: 1, type: "tidegate.epoch", time: 1 },
      });
    });

    test("[ORDER-1] sequences have no holes and follow the order of the calls", async () => {
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

    test("[ORDER-2] what was appended is read back as it was, after a restart too", async () => {
      const { buffer, open } = await opened();
      const sent = ["a", "b", "c"].map(event);
      await buffer.append(sent.slice(0, 2));
      await buffer.append(sent.slice(2));
      const check = (events: readonly NewEvent[]) =>
        expect(events.map(text)).toEqual(sent.map(text));
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
      const read = async (after: number, events: number, bytes = 1e9) =>
        sequences(await buffer.read(after, { events, bytes }));
      expect(await read(3, 2)).toEqual([4, 5]);
      expect(await read(3, 100)).toEqual([4, 5, 6]);
      expect(await read(3, 100, 1)).toEqual([4]);
      expect(await read(6, 100)).toEqual([]);
    });

    test("[SEND-1] what is released is gone, also after a restart, and what is not stays", async () => {
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

    test("offers and appends share one order", async () => {
      const { buffer } = await opened();
      const [a, c] = [waiter(), waiter()];
      buffer.offer(event("a"), a);
      const b = buffer.append([event("b")]);
      buffer.offer(event("c"), c);
      expect([await a.told, (await b).to, await c.told]).toEqual([2, 3, 4]);
    });

    test("[ACK-5] an offer that nobody waits for any more is not stored", async () => {
      const { buffer } = await opened();
      const [gone, kept] = [waiter(), waiter()];
      buffer.offer(event("gone"), gone);
      buffer.offer(event("kept"), kept);
      gone.gone = true;
      expect(await kept.told).toBe(2);
      expect((await buffer.read(1, ALL)).map(text)).toEqual([text(event("kept"))]);
    });

    test("[ORDER-4] notes are kept in the commit of their event, over a restart, and forgotten on request", async () => {
      const { buffer, open } = await opened();
      const note = (key: string, value: string) => ({ key, value: Buffer.from(value) });
      const told = waiter();
      buffer.offer(event("a"), told, [note("s/1", "one"), note("s/2", "two")]);
      await told.told;
      await buffer.append([event("b")], { notes: [note("q/1", "other")] });
      await buffer.note([{ key: "s/1", value: undefined }, note("s/3", "three")]);
      await buffer.stop();
      const again = await open();
      const noted = (await again.noted("s/")).map(([key, value]) => [
        key,
        String(Buffer.from(value)),
      ]);
      expect(noted).toEqual([
        ["s/2", "two"],
        ["s/3", "three"],
      ]);
      expect(again.stats().accepted).toBe(3);
    });

    test("[FULL-1] refuse: at its cap it keeps callers waiting, still takes its own events, and goes on after a release", async () => {
      const { buffer } = await opened(4000);
      const fill = Array.from({ length: 60 }, () => waiter());
      for (const each of fill) buffer.offer(event("a"), each);
      await untilFull(buffer);
      const { accepted } = buffer.stats();
      const held = fill.slice(accepted - 1);
      expect(held.length).toBeGreaterThan(5);
      let told = 0;
      for (const each of held) {
        each.told.then(
          () => (told += 1),
          () => undefined,
        );
      }
      // Its own event passes those that wait.
      const own = await buffer.append([event("own")], { reserved: true });
      expect(own.to).toBe(accepted + 1);
      expect(told).toBe(0);
      await buffer.release(own.to);
      expect(await held[0]?.told).toBe(own.to + 1);
    });

    test("refuse: who has gone while waiting for room is forgotten", async () => {
      const { buffer } = await opened(4000);
      const fill = Array.from({ length: 60 }, () => waiter());
      for (const each of fill) buffer.offer(event("a"), each);
      await untilFull(buffer);
      const { accepted } = buffer.stats();
      for (const each of fill) each.gone = true;
      await buffer.release(accepted);
      expect((await buffer.append([event("b")])).from).toBe(accepted + 1);
    });

    test("[FULL-2] drop-oldest: the oldest give way to the newest, and one loss stands in their place", async () => {
      const { buffer, open } = await opened(4000, "drop-oldest");
      for (let i = 0; i < 100; i += 1) await buffer.append([event(`d${i}`)]);
      const { accepted, bytes, lost, state } = buffer.stats();
      expect({ accepted, state }).toEqual({ accepted: 101, state: "full" });
      expect(bytes).toBeLessThanOrEqual(4000);
      const check = async (from: DurableBuffer) => {
        const events = await from.read(0, ALL);
        const [first, loss, ...rest] = events;
        expect(first).toMatchObject({ type: "tidegate.epoch", sequence: 1 });
        expect(loss?.type).toBe("tidegate.loss");
        const {
          from: begin,
          to,
          reason,
        } = decodeEvent("tidegate.loss", loss?.value ?? Buffer.of());
        expect({ begin, reason, sequence: loss?.sequence }).toEqual({
          ...{ begin: 2, reason: "full", sequence: to },
        });
        expect(to - begin + 1).toBe(lost.full);
        expect(from.stats().waiting, "a loss is one event").toBe(rest.length + 2);
        expect(sequences(rest)).toEqual(Array.from({ length: 101 - to }, (_, i) => to + 1 + i));
        expect(rest.at(-1) && text(rest.at(-1) as NewEvent)).toBe(text(event("d99")));
      };
      await check(buffer);
      await buffer.stop();
      await check(await open());
    });

    test("[SEND-2] drop-oldest: what was handed out to be sent is never dropped", async () => {
      const { buffer } = await opened(4000, "drop-oldest");
      for (let i = 0; i < 10; i += 1) await buffer.append([event(`d${i}`)]);
      const few = { events: 4, bytes: 1e9 };
      const batch = await buffer.read(0, few);
      for (let i = 0; i < 100; i += 1) await buffer.append([event(`e${i}`)]);
      expect((await buffer.read(0, few)).map(text)).toEqual(batch.map(text));
      await buffer.release(4);
      // A loss that was handed out is another event than what is lost after it.
      const second = await buffer.read(4, few);
      const loss = second.find(({ type }) => type === "tidegate.loss");
      expect(loss).toBeDefined();
      for (let i = 0; i < 100; i += 1) await buffer.append([event(`f${i}`)]);
      expect((await buffer.read(4, few)).map(text)).toEqual(second.map(text));
      const last = second.at(-1)?.position ?? 0;
      await buffer.release(last);
      const third = await buffer.read(last, ALL);
      let expected = second.at(-1)?.sequence ?? 0;
      for (const { type, sequence, value } of third) {
        const from = type === "tidegate.loss" ? decodeEvent(type, value).from : sequence;
        expect(from).toBe(expected + 1);
        expected = sequence;
      }
      expect(third.filter(({ type }) => type === "tidegate.loss")).toHaveLength(1);
      expect(expected).toBe(buffer.stats().accepted);
    });

    test("before start and after stop it says that it is closed", async () => {
      const { buffer } = await opened();
      await buffer.stop();
      await expect(buffer.append([event("a")])).rejects.toMatchObject({ code: "closed" });
      await expect(buffer.read(0, ALL)).rejects.toMatchObject({ code: "closed" });
    });
  });
}
