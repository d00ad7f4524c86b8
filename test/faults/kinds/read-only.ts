/**
 * The kernel makes the file system read-only under the running program, as it does when a card begins to fail. Nothing more is
 * acknowledged, the program lives and answers; once the file system is mounted again it goes on where it was.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Bystander } from "../bystander.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import { MODES, Rig } from "../rig.ts";

const MEGABYTES = 128;

export const readOnly: Kind = {
  name: "read-only",
  needs: ["loop"],
  async run({ ground, random, short }) {
    const disk = ground.loopDisk({ megabytes: MEGABYTES });
    disk.mount();
    const dataDir = join(disk.directory, "data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    const bystander = new Bystander();
    ground.defer(() => bystander.stop());
    const faults = short ? 1 : between(random, 1, 3);
    for (let i = 0; i < faults; i += 1) {
      await rig.start();
      await bystander.start(rig.program.mqttPort);
      await rig.publishing(between(random, 100, 2000));
      disk.breakDown();
      await rig.standsStill();
      await rig.answers();
      await bystander.isServed();
      bystander.stop();
      await rig.kill();
      disk.unmount();
      disk.mount();
    }
    await rig.start();
    await rig.publishing(200);
    await rig.settle();
    return { faults, verdicts: [await rig.judge()] };
  },
};
