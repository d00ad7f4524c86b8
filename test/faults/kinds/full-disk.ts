/**
 * A file system that is really full while devices publish, then has room again. While it is full nothing is acknowledged that is
 * not on it, the process lives, answers and serves ordinary MQTT; when there is room it goes on by itself.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Bystander } from "../bystander.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import type { Publisher } from "../publisher.ts";
import { MODES, Rig } from "../rig.ts";

/** Room for the log and the processors' states beside the buffer, with the free space that the gateway wants to keep. */
const MEGABYTES = 256;

/** Without an acknowledgement for so long, under thousands a second, ms. */
const STILL_MS = 400;
const STILL_WITHIN_MS = 20_000;

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
      await standsStill(rig.publisher, () => fill(disk, filler, rest));
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

/** Until no reading was acknowledged for a while: otherwise nothing was struck. */
async function standsStill(publisher: Publisher, again: () => void): Promise<void> {
  const deadline = performance.now() + STILL_WITHIN_MS;
  for (;;) {
    again();
    const before = publisher.acknowledged;
    await pause(STILL_MS);
    if (publisher.acknowledged === before) return;
    if (performance.now() > deadline) {
      throw new Error(`the disk is full and readings are acknowledged for ${STILL_WITHIN_MS} ms`);
    }
  }
}

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
