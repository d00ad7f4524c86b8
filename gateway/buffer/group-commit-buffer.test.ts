/** What is told to whom, and when, over a storage that fails by order. Clauses are those of docs/spec/buffer.md. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { EPOCH, event, waiter } from "./conformance.ts";
import { MemoryBuffer, type MemoryBufferOptions, memoryDisk } from "./memory.ts";
import type { BufferedEvent } from "./port.ts";

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };

const buffers: MemoryBuffer[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const buffer of buffers.splice(0)) await buffer.stop();
});

function made(options: Partial<MemoryBufferOptions> = {}, disk = memoryDisk()): MemoryBuffer {
  const buffer = new MemoryBuffer({ firstEpoch: EPOCH, capacityBytes: 1e9, ...options }, disk);
  buffers.push(buffer);
  return buffer;
}

async function started(options: Partial<MemoryBufferOptions> = {}, disk = memoryDisk()) {
  const buffer = made(options, disk);
  await buffer.start();
  buffer.storage.calls.length = 0;
  return { buffer, storage: buffer.storage, calls: buffer.storage.calls };
}

const values = (events: readonly BufferedEvent[]) =>
  events.filter(({ type }) => type === "tidegate.reading").map(({ value }) => value.toString());

describe("what is acknowledged, and when", () => {
  test("[ACK-1] after the events and after the mark, never before", async () => {
    const { buffer, calls } = await started();
    const seen: string[][] = [];
    await buffer.append([event("a")]).then(() => seen.push([...calls]));
    expect(seen).toEqual([["write", "mark"]]);
  });

  test("[ACK-2] a group is written while the mark of the one before it is", async () => {
    const { buffer, calls, storage } = await started();
    let go: (() => void) | undefined;
    storage.holdMark = new Promise((resolve) => {
      go = resolve;
    });
    const first = buffer.append([event("a")]);
    await vi.waitFor(() => expect(calls).toEqual(["write", "mark"]));
    const second = buffer.append([event("b")]);
    await vi.waitFor(() => expect(calls).toEqual(["write", "mark", "write"]));
    expect(buffer.stats().accepted).toBe(1);
    go?.();
    expect([(await first).to, (await second).to]).toEqual([2, 3]);
  });

  test.each(["lost", "kept"] as const)(
    "[FAIL-1] after a failed write (%s) nobody is told anything before the store was opened again, and each event is there once",
    async (how) => {
      const { buffer, calls, storage } = await started();
      storage.failures.push(how);
      const told: string[][] = [];
      const both = await Promise.all(
        ["a", "b"].map(async (text, i) => {
          // The second arrives while the first is being written.
          if (i === 1) await vi.waitFor(() => expect(calls).toContain("write"));
          const { to } = await buffer.append([event(text)]);
          told.push([...calls]);
          return to;
        }),
      );
      expect(both).toEqual([2, 3]);
      expect(told[0]?.slice(0, 2)).toEqual(["write", "open"]);
      expect(values(await buffer.read(0, ALL))).toEqual(
        ["a", "b"].map((text) => event(text).value.toString()),
      );
      expect(buffer.stats()).toMatchObject({ state: "open", recoveries: 1 });
    },
  );

  test("[FAIL-1] of a torn write the part that a salvage saved is not stored again", async () => {
    const { buffer, storage } = await started();
    storage.failures.push("torn");
    const texts = ["a", "b", "c", "d", "e"];
    const told = texts.map(async (text) => (await buffer.append([event(text)])).to);
    expect(await Promise.all(told)).toEqual([2, 3, 4, 5, 6]);
    expect(values(await buffer.read(0, ALL))).toEqual(
      texts.map((text) => event(text).value.toString()),
    );
  });

  test("[FAIL-1] after a failed mark nobody is told anything before the store was opened again", async () => {
    const { buffer, calls, storage } = await started();
    storage.failMarks = 1;
    const { to } = await buffer.append([event("a")]);
    expect({ to, calls }).toEqual({ to: 2, calls: ["write", "mark", "open"] });
    expect(buffer.stats().waiting).toBe(2);
  });

  test("[FAIL-2] a store that cannot be opened is tried until it can; what waits is held and then stored", async () => {
    const { buffer, calls, storage } = await started();
    storage.failures.push("lost");
    storage.failOpens = Number.POSITIVE_INFINITY;
    const held = [buffer.append([event("a")])];
    await vi.waitFor(() => expect(buffer.stats().state).toBe("recovering"));
    held.push(buffer.append([event("b")]));
    expect(buffer.stats().trouble).toContain("planted");
    await vi.waitFor(() =>
      expect(calls.filter((call) => call === "open").length).toBeGreaterThan(2),
    );
    expect(buffer.stats().accepted).toBe(1);
    storage.failOpens = 0;
    expect((await Promise.all(held)).map(({ to }) => to)).toEqual([2, 3]);
  });

  test("[FAIL-2] a disk that is full at the start does not keep the buffer from starting", async () => {
    const buffer = made();
    buffer.storage.failOpens = 2;
    await buffer.start();
    expect(buffer.stats()).toMatchObject({ state: "recovering", epoch: "" });
    expect(await buffer.append([event("a")])).toEqual({ from: 2, to: 2 });
    expect(buffer.stats()).toMatchObject({ state: "open", epoch: EPOCH });
  });

  test("[FAIL-3] whichever operation of the disk fails, for the first, the second, the third and so on", async () => {
    let operations = 0;
    for (let failing = 1; ; failing += 1) {
      const disk = memoryDisk();
      const buffer = made({ policy: "drop-oldest", capacityBytes: 3000 }, disk);
      const { storage } = buffer;
      storage.failCall = failing;
      await buffer.start();
      const acknowledged = new Map<number, string>();
      const tell = async (text: string) => {
        const { to } = await buffer.append([event(text)]);
        expect(acknowledged.has(to)).toBe(false);
        acknowledged.set(to, event(text).value.toString());
      };
      for (let i = 0; i < 40; i += 1) {
        await Promise.all([tell(`a${i}`), tell(`b${i}`)]);
        if (i === 10) await buffer.release(5);
        if (i === 20) await buffer.note([{ key: "k", value: Buffer.from("v") }]);
      }
      operations = storage.calls.length;
      await buffer.stop();
      const again = made({ policy: "drop-oldest", capacityBytes: 3000 }, disk);
      await again.start();
      expect(await again.noted("k")).toHaveLength(1);
      const { released } = again.stats().positions;
      const left = await again.read(released, ALL);
      const there = new Map(left.map(({ sequence, value }) => [sequence, value.toString()]));
      const lostTo = left.find(({ type }) => type === "tidegate.loss")?.sequence ?? released;
      for (const [sequence, text] of acknowledged) {
        if (sequence > lostTo) expect(there.get(sequence)).toBe(text);
      }
      expect(acknowledged.size).toBe(80);
      await again.stop();
      if (failing > operations) break;
    }
    expect(operations).toBeGreaterThan(80);
  });
});

describe("releases", () => {
  test("[SEND-1] with nothing left to send one goes with the next reading, or after a while by itself", async () => {
    const { buffer, calls } = await started({ limits: { idleReleaseMs: 1_000_000 } });
    await buffer.append([event("a")]);
    const released = buffer.release(2);
    await buffer.append([event("b")]);
    await released;
    expect(calls).toEqual(["write", "mark", "write", "mark"]);
    expect(buffer.stats()).toMatchObject({ released: 2, accepted: 3 });
    // With something left the log waits for it.
    await buffer.append([event("c")]);
    await buffer.release(3);
    expect(calls.slice(4)).toEqual(["write", "mark", "write"]);
  });

  test("[SEND-1] a stop does not wait for a next reading", async () => {
    const disk = memoryDisk();
    const { buffer } = await started({ limits: { idleReleaseMs: 1_000_000 } }, disk);
    const released = buffer.release(1);
    await buffer.stop();
    await released;
    expect(disk.released).toBe(1);
  });
});

describe("limits", () => {
  test("[FULL-4] beyond what may wait in memory callers are refused, by a code that says why", async () => {
    const { buffer } = await started({ capacityBytes: 2000, limits: { heldBytes: 3000 } });
    const waiters = Array.from({ length: 100 }, () => waiter());
    for (const each of waiters) buffer.offer(event("a"), each);
    const told = await Promise.allSettled(waiters.slice(60).map((each) => each.told));
    for (const each of told) expect(each).toMatchObject({ reason: { code: "full" } });
  });

  test("[FULL-3] below the floor of free space it grows no more, and goes on when there is space again", async () => {
    const disk = memoryDisk();
    const buffer = made(
      {
        ...{ diskBytes: 100_000, freeFloorBytes: 95_000 },
        limits: { usageIntervalMs: 1, floorRoomBytes: 1000 },
      },
      disk,
    );
    await buffer.start();
    const waiters: ReturnType<typeof waiter>[] = [];
    while (buffer.stats().state !== "full") {
      const each = waiter();
      waiters.push(each);
      buffer.offer(event("a"), each);
      await buffer.note([]);
    }
    await buffer.note([]);
    const { accepted, capacityBytes, bytes } = buffer.stats();
    expect(capacityBytes).toBe(bytes);
    expect(accepted).toBeLessThan(waiters.length + 1);
    buffer.storage.diskSize = 1e9;
    expect(await waiters.at(-1)?.told).toBe(waiters.length + 1);
  });

  test("[SPACE-1] what was removed is given back to the disk, and no acknowledgement waits for that", async () => {
    const { buffer, calls, storage } = await started({ limits: { compactBytes: 1000 } });
    storage.holdCompaction = new Promise(() => undefined);
    for (let i = 0; i < 30; i += 1) await buffer.append([event("a")]);
    await buffer.release(30);
    expect(calls).toContain("compact");
    expect(await buffer.append([event("b")])).toEqual({ from: 32, to: 32 });
    storage.holdCompaction = undefined;
    buffers.splice(0);
  });

  test("[ACK-3] a commit window gathers, and ends early with a group's worth", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { buffer, calls } = await started({ commitWindowMs: 500, limits: { groupBytes: 1000 } });
    const first = buffer.append([event("a")]);
    await vi.advanceTimersByTimeAsync(499);
    const second = buffer.append([event("b")]);
    expect(calls).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all([first, second]);
    expect(calls).toEqual(["write", "mark"]);
    const many = Array.from({ length: 30 }, () => buffer.append([event("c")]));
    await many[0];
    vi.useRealTimers();
  });

  test("[ACK-4] who still waits at a stop is refused, and what was told is there", async () => {
    const disk = memoryDisk();
    const { buffer } = await started({ capacityBytes: 2000 }, disk);
    const waiters = Array.from({ length: 60 }, () => waiter());
    for (const each of waiters) buffer.offer(event("a"), each);
    await buffer.stop();
    const told = await Promise.allSettled(waiters.map((each) => each.told));
    const stored = told.filter(({ status }) => status === "fulfilled").length;
    expect(stored).toBeGreaterThan(3);
    expect(told.at(-1)).toMatchObject({ reason: { code: "closed" } });
    const { buffer: again } = await started({}, disk);
    expect(again.stats().accepted).toBe(stored + 1);
  });
});
