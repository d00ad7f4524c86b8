/** The faults, checked: a program that only says that it syncs must be found by a power cut, and one that changes a value by the oracle. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cutPower, MEGABYTES } from "./kinds/power-cut.ts";
import { Ground, missingNeed } from "./machine.ts";
import { Rig } from "./rig.ts";
import { Strace } from "./strace.ts";

const missing = await missingNeed(["loop", "strace"]);
if (missing) process.stderr.write(`skipped: planted faults, because ${missing}\n`);

test.skipIf(missing !== undefined)(
  "a power cut takes what was not synced",
  {
    timeout: 60_000,
  },
  async () => {
    const ground = new Ground();
    try {
      const disk = ground.loopDisk({ megabytes: MEGABYTES });
      disk.mount();
      const dataDir = join(disk.directory, "data");
      mkdirSync(dataDir);
      const rig = new Rig({ ground, dataDir, mode: "gateway" });
      await rig.start();
      await rig.publishing(200);
      const strace = new Strace(ground);
      // The calls are not made, and say that they were.
      await strace.attach(rig.program.pid, {
        calls: ["fdatasync", "fsync"],
        what: "retval=0",
        files: [],
      });
      await rig.publishing(500);
      const { lost, declared, acknowledged } = await cutPower(ground, disk, rig);
      expect(await strace.detach()).toBeGreaterThan(0);
      expect(acknowledged).toBeGreaterThan(600);
      // What the high-water mark knows of is declared; without it nobody would say a word.
      expect(lost + declared).toBeGreaterThan(300);
    } finally {
      ground.release();
    }
  },
);
