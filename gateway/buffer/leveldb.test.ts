import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { afterEach, describe, expect, test, vi } from "vitest";
import { bufferConformance, EPOCH, event, STAMP } from "./conformance.ts";
import { LevelBuffer, type LevelBufferOptions } from "./leveldb.ts";

function temporary() {
  return mkdtempSync(join(tmpdir(), "tidegate-buffer-"));
}

function levelBuffer(root: string, options: Partial<LevelBufferOptions> = {}) {
  return new LevelBuffer({
    directory: join(root, "buffer"),
    createIfMissing: true,
    makeEpoch: () => EPOCH,
    stamp: () => STAMP,
    capacityBytes: 1e9,
    policy: "refuse",
    freeFloorBytes: 0,
    commitWindowMs: 0,
    limits: { reopenDelayMs: 1, idleReleaseMs: 0 },
    ...options,
  });
}

bufferConformance({
  name: "LevelDB",
  make(options) {
    const root = temporary();
    return {
      open: () => levelBuffer(root, options),
      remove: () => rm(root, { recursive: true, force: true }),
    };
  },
});

describe("LevelDB buffer", () => {
  const roots: string[] = [];
  const buffers: LevelBuffer[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const buffer of buffers.splice(0)) await buffer.stop();
    for (const root of roots.splice(0)) await rm(root, { recursive: true, force: true });
  });

  function make(options: Partial<LevelBufferOptions> = {}, root = temporary()) {
    if (!roots.includes(root)) roots.push(root);
    const buffer = levelBuffer(root, options);
    buffers.push(buffer);
    return { buffer, root };
  }

  test("everything that waits shares one synced write", async () => {
    const { buffer } = make();
    await buffer.start();
    const before = buffer.stats().commits;
    await Promise.all(Array.from({ length: 500 }, (_, i) => buffer.append([event(`d${i}`)])));
    expect(buffer.stats().commits - before).toBe(1);
  });

  test("a second process is told who is in its way", async () => {
    const { buffer, root } = make();
    await buffer.start();
    await expect(levelBuffer(root).start()).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringContaining("--data-dir"),
    });
    expect((await buffer.append([event("a")])).to).toBe(2);
  });

  test("a directory that cannot be made is named", async () => {
    const root = temporary();
    roots.push(root);
    await writeFile(join(root, "file"), "");
    const { buffer } = make({}, join(root, "file"));
    await expect(buffer.start()).rejects.toMatchObject({ code: "unwritable" });
  });

  test("after a failed write nothing is acknowledged until the store was reopened; what waited is stored then", async () => {
    const { buffer, root } = make();
    await buffer.start();
    await buffer.append([event("before")]);
    vi.spyOn(ClassicLevel.prototype, "batch").mockImplementationOnce(() => {
      throw new Error("No space left on device");
    });
    const failed = buffer.append([event("failed")]);
    const later = buffer.append([event("later")]);
    expect(await failed).toEqual({ from: 3, to: 3 });
    expect(await later).toEqual({ from: 4, to: 4 });
    expect(buffer.stats().recoveries).toBe(1);
    await buffer.stop();
    const { buffer: again } = make({ createIfMissing: false }, root);
    await again.start();
    expect(again.stats()).toMatchObject({ accepted: 4, epoch: EPOCH });
  });

  test("sequences go on after everything was released and the store reopened", async () => {
    const { buffer, root } = make();
    await buffer.start();
    await buffer.append([event("a")]);
    await buffer.release(2);
    await buffer.stop();
    const { buffer: again } = make({ createIfMissing: false }, root);
    await again.start();
    expect(await again.append([event("b")])).toEqual({ from: 3, to: 3 });
  });
});
