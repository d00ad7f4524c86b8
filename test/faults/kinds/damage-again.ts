/** Damage upon damage: files of the buffer are hit between runs, again and again, and each time the gateway goes on. */
import { mkdirSync } from "node:fs";
import { actionsOn, strike, TARGETS } from "../damage.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import { Rig } from "../rig.ts";

export const damageAgain: Kind = {
  name: "damage-again",
  needs: [],
  async run({ ground, random, short }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: "gateway" });
    await rig.start();
    const faults = short ? 2 : between(random, 1, 5);
    const done: string[] = [];
    let mayLose = 0;
    for (let i = 0; i < faults; i += 1) {
      // Each start makes a table of what the log held.
      for (let starts = between(random, 0, 2); starts >= 0; starts -= 1) {
        await rig.publishing(between(random, 50, 1500));
        await rig.settle();
        if (random() < 0.3) await rig.stop();
        else await rig.kill();
        if (starts > 0) await rig.start();
      }
      const target = oneOf(
        random,
        TARGETS.filter((one) => actionsOn(dataDir, one).length > 0),
      );
      const action = oneOf(random, actionsOn(dataDir, target));
      const struck = strike(dataDir, target, action, random);
      mayLose += struck.mayLose;
      done.push(`${action} ${target}`);
      await rig.start().catch((error: Error) => {
        throw new Error(`after ${done.join(", ")}: ${error.message}`);
      });
    }
    await rig.publishing(200);
    await rig.settle();
    const verdict = await rig.judge();
    const faultsTold = verdict.faults.map((fault) => `after ${done.join(", ")}: ${fault}`);
    if (verdict.declared > mayLose) {
      const much = `${verdict.declared} readings declared lost, ${mayLose} can have been`;
      faultsTold.push(`after ${done.join(", ")}: ${much}`);
    }
    return { faults, verdicts: [{ ...verdict, faults: faultsTold }] };
  },
};
