/** What an examination says of a store, held against what a start then does with it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { makeEpoch } from "../../events/ids.ts";
import { event, STAMP } from "./conformance.ts";
import { examineBuffer, examineQuarantined, quarantined } from "./examine.ts";
import { LevelBuffer } from "./leveldb.ts";
import type { BufferedEvent } from "./port.ts";

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-examine-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

let epochs = 0;
async function started(root: string, createIfMissing = false): Promise<LevelBuffer> {
  const buffer = new LevelBuffer({
    directory: join(root, "buffer"),
    createIfMissing,
    makeEpoch: () => {
      epochs += 1;
      return makeEpoch(Uint8Array.from({ length: 10 }, (_, i) => (epochs >> (5 * i)) & 31));
    },
    stamp: () => STAMP,
    capacityBytes: 1e9,
    policy: "refuse",
    freeFloorBytes: 0,
    commitWindowMs: 0,
  });
  cleanups.push(() => buffer.stop());
  await buffer.start();
  return buffer;
}

async function examined(root: string) {
  const found = await examineBuffer(join(root, "buffer"), () => STAMP);
  if (!found) throw new Error("there is a buffer");
  const events: BufferedEvent[] = [];
  for await (const each of found.events()) events.push({ ...each, value: Buffer.from(each.value) });
  await found.close();
  expect(readdirSync(root).filter((name) => name.startsWith(".tidegate"))).toEqual([]);
  return { ...found.examination, events };
}

/** Two epochs, because the mark was lost once; part of the first is released. */
async function used() {
  const root = temporary();
  const first = await started(root, true);
  for (let i = 0; i < 400; i += 5) {
    await first.append(
      Array.from({ length: 5 }, (_, k) => event(`a-${i + k}-${"x".repeat(1000)}`)),
    );
  }
  await first.release(100);
  const [old] = [first.stats().epoch];
  // As a power cut leaves it: nothing says that it was closed in order.
  const cut = temporary();
  await cp(root, cut, { recursive: true });
  await first.stop();
  await rm(join(cut, "buffer.mark"));
  const second = await started(cut);
  for (let i = 0; i < 400; i += 7) {
    await second.append(
      Array.from({ length: 7 }, (_, k) => event(`b-${i + k}-${"x".repeat(1000)}`)),
    );
  }
  const { epoch, accepted } = second.stats();
  await second.stop();
  return { root: cut, old, epoch, accepted };
}

const idOf = ({ epoch, sequence, type, value }: BufferedEvent) =>
  `${epoch}-${sequence} ${type} ${Buffer.from(value).toString("hex")}`;

describe("a store of two epochs", () => {
  test("is told by the sequences of each", async () => {
    const { root, old, epoch, accepted } = await used();
    const found = await examined(root);
    expect(found).toMatchObject({
      format: 2,
      start: "nothing",
      damage: [],
      lost: [],
      cursor: { epoch: old, sequence: 100 },
      mark: { epoch, sequence: accepted },
      epochs: [
        { epoch: old, highest: 401, waiting: { from: 101, to: 401 } },
        { epoch, highest: accepted, waiting: { from: 1, to: accepted } },
      ],
    });
    expect(found.events).toHaveLength(301 + accepted);
  });
});

/** A sequence of numbers from 0 up to, not including, `below`, that a seed always gives alike. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Zeroed sectors among them: of those LevelDB's own code makes an end of the process. */
const KINDS = ["flip", "cut", "zero", "delete"] as const;

async function damage(root: string, seed: number): Promise<string> {
  const next = random(seed);
  const names = readdirSync(join(root, "buffer")).filter((name) => !/^LO(G|CK)/.test(name));
  const name = names[next(names.length)] ?? "";
  const path = join(root, "buffer", name);
  const kind = KINDS[next(KINDS.length)] ?? "flip";
  const bytes = await readFile(path);
  if (kind === "delete") await rm(path);
  else if (kind === "cut") await truncate(path, next(bytes.length));
  else {
    const at = next(bytes.length);
    if (kind === "flip") bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << next(8)), at);
    else bytes.fill(0, at, at + 4096);
    await writeFile(path, bytes);
  }
  return `${kind} ${name}`;
}

test("of every damage it says what a start then does, and gives the events that it saves", async () => {
  const { root } = await used();
  let salvaged = 0;
  for (let seed = 1; seed <= 24; seed += 1) {
    const broken = temporary();
    await cp(root, broken, { recursive: true });
    const what = `seed ${seed}: ${await damage(broken, seed)}`;
    const found = await examined(broken);
    if (found.start === "salvage") salvaged += 1;

    const buffer = await started(broken);
    const { epoch, positions, lost } = buffer.stats();
    const kept = (await buffer.read(positions.released, ALL)).filter(
      // A new epoch is the start's own.
      (each) => each.type !== "tidegate.epoch" || each.epoch !== epoch || found.start === "nothing",
    );
    await buffer.stop();
    expect(found.events.map(idOf), what).toEqual(kept.map(idOf));
    const declared = found.lost.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    expect(declared, what).toBe(lost.damage);
    if (found.start !== "salvage") continue;
    const [original] = await quarantined(join(broken, "buffer"));
    expect(original?.number, what).toBe(1);
    const again = await examineQuarantined(join(broken, "buffer"), 1, () => STAMP);
    const readings: string[] = [];
    for await (const each of again?.events() ?? []) {
      if (each.type === "tidegate.reading") readings.push(idOf(each));
    }
    await again?.close();
    const saved = found.events.filter(({ type }) => type === "tidegate.reading").map(idOf);
    expect(readings, what).toEqual(saved);
  }
  expect(salvaged).toBeGreaterThan(8);
});

test("where there is nothing, nothing is said", async () => {
  expect(await examineBuffer(join(temporary(), "buffer"), () => STAMP)).toBeUndefined();
  expect(await examineQuarantined(join(temporary(), "buffer"), 1, () => STAMP)).toBeUndefined();
});

test("an original whose record of epochs is gone is read by the mark that was put aside with it", async () => {
  const { root } = await used();
  const store = join(root, "buffer");
  const names = readdirSync(store);
  const tables = names.filter((name) => name.endsWith(".ldb"));
  expect(tables.length).toBeGreaterThan(0);
  for (const name of names.filter((each) => /\.log$/.test(each))) await rm(join(store, name));
  for (const name of tables) {
    await truncate(join(store, name), (await readFile(join(store, name))).length >> 1);
  }
  await (await started(root)).stop();
  const readings = async () => {
    const examined = await examineQuarantined(store, 1, () => STAMP);
    let count = 0;
    for await (const { type } of examined?.events() ?? []) {
      if (type === "tidegate.reading") count += 1;
    }
    await examined?.close();
    return { count, epochs: examined?.examination.epochs.length };
  };
  expect(await readings()).toMatchObject({ count: expect.any(Number), epochs: 2 });
  expect((await readings()).count).toBeGreaterThan(20);
  await rm(join(root, "buffer.quarantine", "1", "mark"));
  expect(await readings()).toEqual({ count: 0, epochs: 0 });
});

describe("a folder that a killed look left behind", () => {
  const beginOf = async (pid: number) =>
    (await readFile(`/proc/${pid}/stat`, "latin1")).split(") ")[1]?.split(" ")[19];
  test.each<[string, () => Promise<string>, boolean]>([
    ["of a process that is gone", async () => "4194305-17-a", false],
    ["of a process whose number is another's now", async () => `${process.pid}-1-a`, false],
    ["of an earlier version", async () => `${process.pid}-abcDEF`, false],
    [
      "of a process that looks now",
      async () => `${process.pid}-${await beginOf(process.pid)}-a`,
      true,
    ],
  ])("%s", async (_, name, stays) => {
    const { root } = await used();
    for (const place of [root, tmpdir()]) {
      const left = join(place, `.tidegate-look-${await name()}`);
      await mkdir(join(left, "copy"), { recursive: true });
      await (await examineBuffer(join(root, "buffer"), () => STAMP))?.close();
      expect(existsSync(left)).toBe(stays);
      await rm(left, { recursive: true, force: true });
    }
  });
});

test("a store that a gateway has closed for a moment, to salvage it, is in use all the same", async () => {
  const { root } = await used();
  const module = new URL("./directory-lock.ts", import.meta.url).href;
  const path = JSON.stringify(join(root, "buffer.lock"));
  const program = `import { DirectoryLock } from "${module}";
    await new DirectoryLock(${path}).acquire();
    console.log("held");
    setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", program]);
  cleanups.push(async () => {
    holder.kill("SIGKILL");
    await once(holder, "exit");
  });
  await once(holder.stdout, "data");
  await expect(examined(root)).rejects.toMatchObject({ code: "in_use" });
});
