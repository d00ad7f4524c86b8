import { createHash } from "node:crypto";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { makeEpoch } from "../../events/ids.ts";
import type { JournalType } from "../../events/schema.ts";
import { EPOCH, event as reading, STAMP, waiter } from "../buffer/conformance.ts";
import { MemoryBuffer, memoryDisk } from "../buffer/memory.ts";
import { BufferError } from "../buffer/port.ts";
import { noise } from "./conformance.ts";
import { MemoryFiles } from "./memory-files.ts";
import { MemoryStore } from "./memory-store.ts";
import { Payloads, type PayloadsOptions } from "./payloads.ts";
import { ObjectStoreError } from "./port.ts";

const logger = pino({ level: "silent" });
const AWAY = new ObjectStoreError("unreachable", "the object store cannot be reached");

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

/** What outlives a process, and the processes on it. */
function machine(more: Partial<PayloadsOptions> = {}) {
  const disk = memoryDisk();
  disk.born = true;
  const files = new Map<string, Buffer>();
  const store = new MemoryStore();
  let epochs = 0;
  const start = async () => {
    epochs += 1;
    const newEpoch = makeEpoch(new Uint8Array(10).fill(epochs));
    const firstEpoch = epochs === 1 ? EPOCH : newEpoch;
    disk.born = disk.chapters.length > 0;
    const buffer = new MemoryBuffer({ firstEpoch, capacityBytes: 1e6, stamp: () => STAMP }, disk);
    await buffer.start();
    const onDisk = new MemoryFiles(files);
    const payloads = new Payloads({
      gateway: "gw-1",
      buffer,
      files: onDisk,
      store,
      stamp: () => STAMP,
      capacityBytes: 1e6,
      policy: "refuse",
      freeFloorBytes: 0,
      logger,
      ...more,
    });
    await payloads.load();
    let stopped = false;
    const stop = async () => {
      if (stopped) return;
      stopped = true;
      await payloads.stop(0);
      await buffer.stop();
    };
    running.push(stop);
    const offer = (payload: Buffer, device = "cam") => {
      const told = waiter();
      payloads.offer(
        { stamp: STAMP, device, topic: `cameras/${device}/image`, client: "c", payload },
        told,
      );
      return told;
    };
    /** The journal's events of large payloads. */
    const journal = async () => {
      const all = await buffer.read(0, { events: 1000, bytes: Number.POSITIVE_INFINITY });
      return all
        .filter(({ type }) => type.startsWith("tidegate.payload"))
        .map(({ type, value }) => ({ type, ...(decodeEvent(type, value) as object) }) as Told);
    };
    const until = async (done: () => boolean | Promise<boolean>) => {
      while (!(await done())) await new Promise((resolve) => setImmediate(resolve));
    };
    return { buffer, payloads, files: onDisk, offer, journal, stop, until };
  };
  return { disk, files, store, start };
}

interface Told {
  readonly type: JournalType;
  readonly payload: string;
  readonly sha256: string;
  readonly size: number;
  readonly key: string;
  readonly ref: string;
  readonly reason?: string;
  readonly device?: string;
}

const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("a large payload", () => {
  test("is told of when its bytes are on the disk, and once more when the store has it; then its file goes", async () => {
    const { store, files, start } = machine();
    const { payloads, offer, journal, until } = await start();
    const picture = noise(100_000);
    const told = offer(picture);
    await told.told;
    expect([...files.values()].map((file) => file.subarray(0, 100_000))).toEqual([picture]);
    expect(await journal()).toMatchObject([
      { type: "tidegate.payload", size: 100_000, sha256: sha(picture), device: "cam" },
    ]);
    payloads.start();
    await until(() => payloads.stats().stored === 1);
    const [accepted, stored] = await journal();
    expect(stored).toMatchObject({
      type: "tidegate.payload-stored",
      payload: accepted?.payload,
      sha256: sha(picture),
      key: accepted?.key,
      ref: store.refOf(accepted?.key ?? ""),
    });
    expect(store.objects.get(stored?.key ?? "")).toEqual(picture);
    expect(files.size).toBe(0);
    expect(payloads.stats()).toMatchObject({ waiting: 0, bytes: 0, trouble: undefined });
  });

  test("is not told of before its bytes are on the disk, and one that cannot be written is tried again", async () => {
    const { start } = machine();
    const { payloads, files, offer, journal } = await start();
    files.failures.push(new Error("ENOSPC: no space left on device"));
    const hold = Promise.withResolvers<void>();
    files.hold = hold.promise;
    let isTold = false;
    const told = offer(noise(1000));
    void told.told.then(() => {
      isTold = true;
    });
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(isTold).toBe(false);
    expect(await journal()).toEqual([]);
    hold.resolve();
    await told.told;
    expect(await journal()).toHaveLength(1);
    expect(payloads.stats().trouble).toBeUndefined();
  });

  test("stands in the journal in the order in which it was offered", async () => {
    const { start } = machine();
    const { offer, journal } = await start();
    const all = [5000, 10, 3000, 1].map((size) => offer(noise(size), `d${size}`));
    await Promise.all(all.map(({ told }) => told));
    expect((await journal()).map(({ device }) => device)).toEqual(["d5000", "d10", "d3000", "d1"]);
  });

  test("whose sender is gone before it was written is not kept", async () => {
    const { files, start } = machine();
    const { offer, journal, files: onDisk } = await start();
    const hold = Promise.withResolvers<void>();
    onDisk.hold = hold.promise;
    const gone = offer(noise(1000));
    const kept = offer(noise(2000));
    gone.gone = true;
    hold.resolve();
    await kept.told;
    expect((await journal()).map(({ size }) => size)).toEqual([2000]);
    expect(files.size).toBe(1);
  });
});

describe("a store that is away", () => {
  test("holds up nobody; what waits outlives a restart and goes out in its order", async () => {
    const { store, files, start } = machine();
    store.away = AWAY;
    const before = await start();
    before.payloads.start();
    for (const size of [300, 100, 200]) await before.offer(noise(size, size)).told;
    await before.buffer.append([reading("a")]);
    await before.until(() => before.payloads.stats().trouble !== undefined);
    expect(before.payloads.stats()).toMatchObject({ waiting: 3, bytes: 600, stored: 0 });
    await before.stop();
    expect(files.size).toBe(3);

    store.away = undefined;
    const again = await start();
    expect(again.payloads.stats()).toMatchObject({ waiting: 3, bytes: 600 });
    again.payloads.start();
    await again.until(() => again.payloads.stats().stored === 3);
    const told = await again.journal();
    expect(told.map(({ type, size }) => [type.slice(9), size])).toEqual([
      ["payload", 300],
      ["payload", 100],
      ["payload", 200],
      ["payload-stored", 300],
      ["payload-stored", 100],
      ["payload-stored", 200],
    ]);
    for (const { key, sha256 } of told) expect(sha(store.objects.get(key) as Buffer)).toBe(sha256);
    expect(files.size).toBe(0);
  });

  test("that takes an object and does not say so gets it again, and it is told of once", async () => {
    const { store, start } = machine();
    store.loseAnswers = 1;
    const { payloads, offer, journal, until } = await start();
    await offer(noise(100)).told;
    payloads.start();
    await until(() => payloads.stats().stored === 1);
    expect(store.puts).toBe(2);
    expect((await journal()).map(({ type }) => type)).toEqual([
      "tidegate.payload",
      "tidegate.payload-stored",
    ]);
  });

  test("that refuses one object takes the others meanwhile", async () => {
    const { store, files, start } = machine();
    const { payloads, offer, journal, until } = await start();
    await offer(noise(100)).told;
    await offer(noise(200)).told;
    const [first] = await journal();
    store.refuses.add(first?.key ?? "");
    payloads.start();
    await until(() => payloads.stats().stored === 1);
    expect(payloads.stats()).toMatchObject({ waiting: 1, bytes: 100 });
    expect([...files.keys()]).toEqual([first?.payload]);
  });
});

describe("what a start finds", () => {
  test("a file of a message that was never acknowledged goes", async () => {
    const { files, start } = machine();
    const before = await start();
    await before.offer(noise(100)).told;
    await before.stop();
    files.set("0".repeat(24), noise(50));
    const again = await start();
    expect(again.payloads.stats()).toMatchObject({ waiting: 1, bytes: 100 });
    expect(files.size).toBe(1);
  });

  test("a file of which a damaged buffer lost its knowledge is taken up, and goes to the store", async () => {
    const { disk, files, store, start } = machine();
    const before = await start();
    const picture = noise(100);
    await before.offer(picture).told;
    await before.stop();
    // All that the buffer had is lost; it begins a new epoch.
    disk.chapters = [];
    disk.groups.clear();
    disk.notes.clear();
    disk.mark = undefined;
    const again = await start();
    expect(again.payloads.stats()).toMatchObject({ waiting: 1, bytes: 100 });
    again.payloads.start();
    await again.until(() => again.payloads.stats().stored === 1);
    expect([...store.objects.values()]).toEqual([picture]);
    expect(files.size).toBe(0);
    expect(await again.journal()).toMatchObject([
      { type: "tidegate.payload-stored", device: "cam", sha256: sha(picture) },
    ]);
  });

  test("an object that is in the store, although the file is gone, is no loss", async () => {
    const { files, store, start } = machine();
    const before = await start();
    await before.offer(noise(100)).told;
    const [told] = await before.journal();
    store.objects.set(told?.key ?? "", noise(100));
    await before.stop();
    files.clear();
    const again = await start();
    again.payloads.start();
    await again.until(() => again.payloads.stats().stored === 1);
    expect(again.payloads.stats()).toMatchObject({ waiting: 0, lost: { full: 0, damage: 0 } });
  });
});

test("a file that is gone is not taken for lost while the store cannot be asked", async () => {
  const { files, store, start } = machine();
  const { payloads, offer, journal, until } = await start();
  await offer(noise(100)).told;
  const [told] = await journal();
  store.objects.set(told?.key ?? "", noise(100));
  store.away = AWAY;
  files.clear();
  payloads.start();
  await until(() => payloads.stats().retries === 1);
  expect(payloads.stats()).toMatchObject({ waiting: 1, lost: { full: 0, damage: 0 } });
  store.away = undefined;
  await until(() => payloads.stats().stored === 1);
});

test("where the buffer cannot say whether it has the event, its note does", async () => {
  const { files, start } = machine();
  const { payloads, buffer, offer, journal, until } = await start();
  const doubt = new BufferError("unavailable", "nobody may rely on it");
  const take = buffer.offer.bind(buffer);
  buffer.offer = (event, told, notes) =>
    take(
      event,
      { stored: () => told.refused(doubt), refused: (error) => told.refused(error) },
      notes,
    );
  await expect(offer(noise(100)).told).rejects.toBe(doubt);
  await until(() => payloads.stats().waiting === 1);
  expect(await journal()).toHaveLength(1);
  buffer.offer = (_event, told) => told.refused(doubt);
  await expect(offer(noise(200)).told).rejects.toBe(doubt);
  await until(() => files.size === 1);
  expect(payloads.stats()).toMatchObject({ waiting: 1, bytes: 100 });
});

describe("a payload that is lost is declared, and the others go on", () => {
  test.each([
    ["a file that is gone", (files: Map<string, Buffer>, id: string) => files.delete(id)],
    [
      "a byte that has changed",
      (files: Map<string, Buffer>, id: string) => {
        const file = files.get(id) as Buffer;
        file[10] = (file[10] ?? 0) ^ 1;
      },
    ],
    [
      "a file that lost its end",
      (files: Map<string, Buffer>, id: string) => {
        files.set(id, (files.get(id) as Buffer).subarray(0, 60));
      },
    ],
  ] as const)("%s", async (_, harm) => {
    const { files, store, start } = machine();
    const { payloads, offer, journal, until } = await start();
    await offer(noise(100), "harmed").told;
    await offer(noise(200), "whole").told;
    const [first] = await journal();
    harm(files, first?.payload ?? "");
    payloads.start();
    await until(() => payloads.stats().stored === 1);
    expect((await journal()).slice(2)).toMatchObject([
      {
        type: "tidegate.payload-lost",
        payload: first?.payload,
        reason: "damage",
        device: "harmed",
        sha256: first?.sha256,
        size: 100,
      },
      { type: "tidegate.payload-stored", device: "whole" },
    ]);
    expect(payloads.stats()).toMatchObject({ waiting: 0, bytes: 0, lost: { full: 0, damage: 1 } });
    expect(store.objects.size).toBe(1);
    expect(files.size).toBe(0);
  });

  test("a trailer alone that is damaged is no loss: the buffer's note says what it is", async () => {
    const { files, store, start } = machine();
    const { payloads, offer, journal, until } = await start();
    const picture = noise(100);
    await offer(picture).told;
    const [first] = await journal();
    const file = files.get(first?.payload ?? "") as Buffer;
    file[file.length - 30] = (file[file.length - 30] ?? 0) ^ 1;
    payloads.start();
    await until(() => payloads.stats().waiting === 0);
    expect([...store.objects.values()]).toEqual([picture]);
    expect(payloads.stats()).toMatchObject({ stored: 1, lost: { full: 0, damage: 0 } });
  });
});

describe("full", () => {
  const size = 300_000;

  test("drop-oldest: the oldest gives way, declared, and readings are not touched", async () => {
    const { files, start } = machine({ policy: "drop-oldest" });
    const { payloads, offer, journal, buffer } = await start();
    await buffer.append([reading("a")]);
    for (const device of ["1", "2", "3", "4", "5"]) await offer(noise(size), device).told;
    expect(payloads.stats()).toMatchObject({
      waiting: 3,
      bytes: 3 * size,
      lost: { full: 2, damage: 0 },
    });
    expect(files.size).toBe(3);
    expect(
      (await journal()).map(({ type, device, reason }) => [type.slice(9), device, reason]),
    ).toEqual([
      ["payload", "1", undefined],
      ["payload", "2", undefined],
      ["payload", "3", undefined],
      ["payload-lost", "1", "full"],
      ["payload", "4", undefined],
      ["payload-lost", "2", "full"],
      ["payload", "5", undefined],
    ]);
    expect(buffer.stats().lost.full).toBe(0);
  });

  test("refuse: the next one is held until the store has taken one, and then acknowledged", async () => {
    const { store, start } = machine({ policy: "refuse" });
    const { payloads, offer, until } = await start();
    for (const device of ["1", "2", "3"]) await offer(noise(size), device).told;
    let isTold = false;
    const fourth = offer(noise(size), "4");
    void fourth.told.then(() => {
      isTold = true;
    });
    await until(() => payloads.stats().trouble !== undefined);
    expect(isTold).toBe(false);
    payloads.start();
    await fourth.told;
    await until(() => payloads.stats().waiting === 0);
    expect(store.objects.size).toBe(4);
    expect(payloads.stats().lost).toEqual({ full: 0, damage: 0 });
  });

  test("a floor that nobody's giving way would reach drops nothing", async () => {
    const { start } = machine({ policy: "drop-oldest", freeFloorBytes: 1e9 });
    const { payloads, files, offer, until } = await start();
    files.diskBytes = 2e9;
    await offer(noise(size), "1").told;
    files.diskBytes = 1e9;
    const held = offer(noise(size), "2");
    await until(() => payloads.stats().trouble !== undefined);
    expect(payloads.stats()).toMatchObject({ waiting: 1, lost: { full: 0 } });
    files.diskBytes = 2e9;
    await held.told;
    expect(payloads.stats()).toMatchObject({ waiting: 2, trouble: undefined });
  });
});

test("a buffer whose write failed keeps the payload: it is told once the buffer is whole again", async () => {
  const { store, start } = machine();
  const { buffer, payloads, offer, until, journal } = await start();
  buffer.storage.failures.push("lost", "kept");
  await offer(noise(100)).told;
  await offer(noise(200)).told;
  payloads.start();
  await until(() => payloads.stats().stored === 2);
  expect((await journal()).map(({ type }) => type).sort()).toEqual([
    "tidegate.payload",
    "tidegate.payload",
    "tidegate.payload-stored",
    "tidegate.payload-stored",
  ]);
  expect(store.objects.size).toBe(2);
});
