/**
 * A disk that takes its time: every sync of the store is held up, as on an SD card that collects its garbage. Readings are
 * acknowledged late and not too early; the program answers, and serves what has nothing to do with the disk.
 */
import { mkdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Bystander } from "../bystander.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import { MODES, Rig } from "../rig.ts";
import { Strace } from "../strace.ts";
import { storeFiles } from "./io-errors.ts";

export const slowFsync: Kind = {
  name: "slow-fsync",
  needs: ["strace"],
  async run({ ground, random, short }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    const bystander = new Bystander();
    ground.defer(() => bystander.stop());
    await rig.start();
    await bystander.start(rig.program.mqttPort);
    const faults = short ? 1 : between(random, 1, 4);
    for (let i = 0; i < faults; i += 1) {
      await rig.publishing(between(random, 1, 300));
      const strace = new Strace(ground);
      await strace.attach(rig.program.pid, {
        calls: ["fdatasync", "pwrite64", "fsync"],
        what: `delay_enter=${between(random, 30, 600)}ms`,
        files: storeFiles(rig.program.pid, dataDir),
      });
      await pause(300 + random() * 1000);
      await rig.answers();
      await bystander.isServed();
      await strace.struck();
      // One of them ends in the middle of a sync.
      const killed = random() < 0.5;
      if (killed) await rig.kill();
      await strace.detach();
      if (killed) {
        await rig.start();
        bystander.stop();
        await bystander.start(rig.program.mqttPort);
      }
      await rig.publishing(100);
    }
    await rig.settle();
    return { faults, verdicts: [await rig.judge()] };
  },
};
