/**
 * A backup put back: an older copy of the buffer's directory, or of the whole data directory. Sequences that were used must
 * never be used again for something else, and what the copy does not hold is declared lost where the gateway can know of it.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { between, type Kind } from "../kind.ts";
import { judge } from "../oracle.ts";
import { Rig } from "../rig.ts";

function copy(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  execFileSync("cp", ["-a", from, to]);
}

export const oldBuffer: Kind = {
  name: "old-buffer",
  needs: [],
  async run({ ground, random }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: "gateway" });
    const buffer = join(dataDir, "buffer");
    const backup = ground.path("backup");
    await rig.start();
    await rig.publishing(between(random, 100, 1000));
    await rig.settle();
    await rig.kill();
    copy(buffer, backup);
    const kept = rig.publisher.acknowledged;
    await rig.start();
    await rig.publishing(between(random, 100, 1000));
    await rig.settle();
    await rig.kill();
    copy(backup, buffer);
    const missing = rig.publisher.acknowledged - kept;
    await rig.start();
    await rig.publishing(200);
    await rig.settle();
    const verdict = await rig.judge();
    const faults =
      verdict.declared === missing
        ? verdict.faults
        : [...verdict.faults, `${missing} readings were taken away, ${verdict.declared} declared`];
    return { faults: 1, verdicts: [{ ...verdict, faults }] };
  },
};

export const oldDirectory: Kind = {
  name: "old-directory",
  needs: [],
  async run({ ground, random }) {
    const dataDir = ground.path("data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: "start" });
    const backup = ground.path("backup");
    await rig.start();
    await rig.publishing(between(random, 100, 1000));
    await rig.settle();
    if (random() < 0.5) await rig.stop();
    else await rig.kill();
    copy(dataDir, backup);
    await rig.start();
    await rig.publishing(between(random, 100, 1000));
    await rig.settle();
    // The log is in the directory too; what it held is remembered here, as a log elsewhere would.
    const before = await rig.drained();
    await rig.kill();
    copy(backup, dataDir);
    await rig.start();
    await rig.publishing(between(random, 200, 1500));
    await rig.settle();
    const after = await rig.drained();
    const verdict = judge(rig.publisher.snapshot(), [...before, ...after]);
    return { faults: 1, verdicts: [verdict] };
  },
};
