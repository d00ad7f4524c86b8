/**
 * Single writes, syncs, opens and renames of the store fail while devices publish, now the first ones of a group, now those of
 * the reopening after it. The program recovers without a restart, and the end of the process straight after it loses nothing.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Bystander } from "../bystander.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import { MODES, Rig } from "../rig.ts";
import { openFiles, Strace } from "../strace.ts";

const ERRORS = ["EIO", "ENOSPC", "EROFS"] as const;

/** LevelDB writes and syncs its files, the high-water mark is written in place; opening and renaming is what recovery does. */
const CALLS = [
  ["write"],
  ["fdatasync"],
  ["pwrite64"],
  ["write", "fdatasync", "pwrite64"],
  ["fdatasync", "openat"],
  ["write", "fdatasync", "pwrite64", "fsync", "openat", "rename", "unlink"],
] as const;

/** Files that the store may make next: LevelDB numbers them. */
const FILES_AHEAD = 60;

/** Attempts at a call that the program does not make today. */
const ATTEMPTS = 20;

export const ioErrors: Kind = {
  name: "io-errors",
  needs: ["strace"],
  async run({ ground, random, short }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    const bystander = new Bystander();
    ground.defer(() => bystander.stop());
    await rig.start();
    await bystander.start(rig.program.mqttPort);
    const wanted = short ? 3 : between(random, 3, 8);
    let faults = 0;
    for (let i = 0; faults < wanted && i < ATTEMPTS; i += 1) {
      await rig.publishing(between(random, 1, 300));
      const strace = new Strace(ground);
      const from = between(random, 1, 4);
      await strace.attach(rig.program.pid, {
        calls: oneOf(random, CALLS),
        what: `error=${oneOf(random, ERRORS)}:when=${from}..${from + between(random, 0, 6)}`,
        files: storeFiles(rig.program.pid, dataDir),
      });
      await pause(200 + random() * 400);
      await rig.answers();
      await bystander.isServed();
      if ((await strace.detach()) === 0) continue;
      faults += 1;
      await rig.publishing(100);
      if (random() < 0.3) await rig.settle();
    }
    await rig.settle();
    return { faults, verdicts: [await rig.judge()] };
  },
};

/** What the buffer has open and may open next. LevelDB's own notes are left alone: no one relies on them. */
export function storeFiles(pid: number, dataDir: string): string[] {
  const buffer = join(dataDir, "buffer");
  const open = openFiles(pid, dataDir).filter((name) => name.startsWith(buffer));
  const newest = Math.max(0, ...open.map((name) => Number(/(\d{6})/.exec(name)?.[1] ?? 0)));
  const ahead = Array.from({ length: FILES_AHEAD }, (_, i) =>
    String(newest + i).padStart(6, "0"),
  ).flatMap((number) => [
    `${number}.log`,
    `${number}.ldb`,
    `${number}.dbtmp`,
    `MANIFEST-${number}`,
  ]);
  const own = open.filter((name) => !/\/(LOG|LOCK)$/.test(name));
  return [...new Set([...own, ...[...ahead, "CURRENT"].map((name) => join(buffer, name))])];
}
