/** `kill -9` at random, again and again, while devices publish: with the log away and with it there. */
import { mkdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { between, type Kind, oneOf } from "../kind.ts";
import { MODES, Rig } from "../rig.ts";

export const kill: Kind = {
  name: "kill",
  needs: [],
  async run({ ground, random, short }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    await rig.start();
    const faults = short ? 2 : between(random, 3, 10);
    for (let i = 0; i < faults; i += 1) {
      await rig.publishing(between(random, 1, 1500));
      // At any moment within a group commit, not always right behind an acknowledgement.
      await pause(random() * 50);
      await rig.kill();
      await rig.start();
    }
    await rig.publishing(100);
    await rig.settle();
    return { faults, verdicts: [await rig.judge()] };
  },
};
