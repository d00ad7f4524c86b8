/**
 * A file system that is really full while devices publish, then has room again. While it is full nothing is acknowledged that is
 * not on it, the process lives, answers and serves ordinary MQTT; when there is room it goes on by itself.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Bystander } from "../bystander.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import { MODES, Rig } from "../rig.ts";

/** Room for the log and the processors' states beside the buffer, with the free space that the gateway wants to keep. */
const MEGABYTES = 256;

export const fullDisk: Kind = {
  name: "full-disk",
  needs: ["tmpfs"],
  async run({ ground, random, short }) {
    const disk = ground.tmpfs(MEGABYTES);
    const dataDir = join(disk, "data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    const bystander = new Bystander();
    ground.defer(() => bystander.stop());
    await rig.start();
    await bystander.start(rig.program.mqttPort);
    const faults = short ? 2 : between(random, 2, 6);
    for (let i = 0; i < faults; i += 1) {
      await rig.publishing(between(random, 100, 2000));
      const filler = join(disk, "filler");
      // A few pages may be left: the write that fails is another one each time.
      const rest = between(random, 0, 20) * 4096;
      await rig.standsStill(() => fill(disk, filler, rest));
      await rig.answers();
      await bystander.isServed();
      const killed = random() < 0.3;
      if (killed) await rig.kill();
      rmSync(filler);
      if (killed) await rig.start();
      await rig.publishing(200);
      await rig.settle();
      if (killed) {
        bystander.stop();
        await bystander.start(rig.program.mqttPort);
      }
    }
    return { faults, verdicts: [await rig.judge()] };
  },
};

/** Takes what is free but the given rest, and keeps taking: what others give back at once is taken too. */
function fill(disk: string, filler: string, rest: number): void {
  for (;;) {
    const { bavail, bsize } = statfsSync(disk);
    const take = bavail * bsize - rest;
    if (take < 4096) return;
    const size = statSync(filler, { throwIfNoEntry: false })?.size ?? 0;
    try {
      execFileSync("fallocate", ["-o", `${size}`, "-l", `${take}`, filler], { stdio: "pipe" });
    } catch {
      // Somebody else has taken some of it meanwhile.
    }
  }
}
