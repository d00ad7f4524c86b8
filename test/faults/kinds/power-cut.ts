/**
 * Power cuts: the program writes to an ext4 file system in a file. It is stopped at any moment, the file is copied as it is, and
 * the program is started on the copy: what only was in memory is not there, as after a real cut. Everything that had been
 * acknowledged by then must be.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { between, type Kind, oneOf } from "../kind.ts";
import type { Ground, LoopDisk } from "../machine.ts";
import type { Verdict } from "../oracle.ts";
import { judgeDirectory, MODES, OWN_EVENTS_A_START, Rig } from "../rig.ts";

/** Room for the log and the processors' states beside the buffer. */
export const MEGABYTES = 128;

/** For acknowledgements that were on their way when the program was stopped. */
const LAST_WORDS_MS = 30;

export const powerCut: Kind = {
  name: "power-cut",
  needs: ["loop"],
  async run({ ground, random, short }) {
    const disk = ground.loopDisk({ megabytes: MEGABYTES });
    disk.mount();
    const dataDir = join(disk.directory, "data");
    mkdirSync(dataDir);
    const rig = new Rig({ ground, dataDir, mode: oneOf(random, MODES) });
    await rig.start();
    const faults = short ? 2 : between(random, 2, 8);
    const verdicts: Verdict[] = [];
    for (let i = 0; i < faults; i += 1) {
      await rig.publishing(between(random, 1, 1500));
      await pause(random() * 50);
      verdicts.push(await cutPower(ground, disk, rig));
    }
    await rig.settle();
    verdicts.push(await rig.judge());
    return { faults, verdicts };
  },
};

/** What a cut at this moment leaves, judged on a copy; the program itself goes on. */
export async function cutPower(ground: Ground, disk: LoopDisk, rig: Rig): Promise<Verdict> {
  const { pid } = rig.program;
  process.kill(pid, "SIGSTOP");
  await standsStill(pid);
  await pause(LAST_WORDS_MS);
  const sent = rig.publisher.snapshot();
  const image = ground.path("image");
  disk.copyImage(image);
  process.kill(pid, "SIGCONT");
  rig.publisher.pause();

  const copy = ground.loopDisk({ image });
  copy.mount();
  try {
    return await judgeDirectory(ground, join(copy.directory, "data"), sent, {
      overdeclared: (rig.starts + 1) * OWN_EVENTS_A_START,
    });
  } finally {
    copy.unmount();
    rmSync(image);
  }
}

/** Until each thread has ended the system call that it was in: a disk has no half of a write in flight then. */
async function standsStill(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  const stopped = () =>
    readdirSync(tasks).every((task) =>
      /\) [Tt] /.test(readFileSync(join(tasks, task, "stat"), "utf8")),
    );
  while (!stopped()) await pause(2);
}
