/**
 * Files of the buffer are damaged while the gateway does not run: one bit, a range, a cut, an exchange, a deletion, of every sort
 * of file. It starts again by itself; what can be saved is saved, what cannot is declared lost to the sequence and is no more
 * than the damage can have reached, and nothing has another value. Each damage is done to the same state and judged for itself.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { actionsOn, strike, TARGETS } from "../damage.ts";
import { between, type Kind, oneOf } from "../kind.ts";
import type { Verdict } from "../oracle.ts";
import { judgeDirectory, OWN_EVENTS_A_START, Rig } from "../rig.ts";

export const damage: Kind = {
  name: "damage",
  needs: [],
  async run({ ground, random, short }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: "gateway" });
    await rig.start();
    // Each start makes a table of what the log held.
    for (let starts = between(random, 1, 3); starts >= 0; starts -= 1) {
      await rig.publishing(between(random, 50, 1500));
      await rig.settle();
      if (random() < 0.3) await rig.stop();
      else await rig.kill();
      if (starts > 0) await rig.start();
    }
    const sent = rig.publisher.snapshot();
    rig.publisher.stop();
    const before = ground.path("before");
    cpSync(dataDir, before, { recursive: true });

    const faults = short ? 3 : 25;
    const verdicts: Verdict[] = [];
    for (let i = 0; i < faults; i += 1) {
      if (i > 0) putBack(before, dataDir);
      const targets = TARGETS.filter((one) => actionsOn(dataDir, one).length > 0);
      const target = oneOf(random, targets);
      const action = oneOf(random, actionsOn(dataDir, target));
      const { mayLose } = strike(dataDir, target, action, random);
      const allowed = { overdeclared: (rig.starts + 1) * OWN_EVENTS_A_START };
      const what = `after ${action} ${target}`;
      const verdict = await judgeDirectory(ground, dataDir, sent, allowed).catch((error: Error) => {
        throw new Error(`${what}: ${error.message}`);
      });
      const faultsTold = verdict.faults.map((fault) => `${what}: ${fault}`);
      if (verdict.declared > mayLose) {
        faultsTold.push(
          `${what}: ${verdict.declared} readings declared lost, ${mayLose} can have been`,
        );
      }
      verdicts.push({ ...verdict, faults: faultsTold });
    }
    return { faults, verdicts };
  },
};

/**
 * The state of before, in the files of before: one that was put in the place of another would be a restored backup,
 * which is another fault.
 */
function putBack(before: string, dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name === "buffer" || !existsSync(join(before, name))) {
      rmSync(join(dataDir, name), { recursive: true });
    }
  }
  for (const entry of readdirSync(before, { withFileTypes: true })) {
    const [from, to] = [join(before, entry.name), join(dataDir, entry.name)];
    if (entry.isDirectory()) cpSync(from, to, { recursive: true });
    else copyFileSync(from, to);
  }
}
