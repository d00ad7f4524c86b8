/** A real process killed with SIGKILL again and again: what it acknowledged is there, in order, and counts once. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { all, held } from "../conformance/harness.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";

const CHILD = new URL("./kill.child.ts", import.meta.url);

/** Runs the child until it acknowledged `batches`, kills it, and returns the last sequence it acknowledged. */
async function runAndKill(directory: string, first: number, batches: number): Promise<number> {
  const child = fork(CHILD, [directory, `${first}`], {
    execArgv: [],
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const gone = once(child, "exit");
  let acknowledged = first - 1;
  let left = batches;
  child.on("message", (sequence) => {
    acknowledged = sequence as number;
    if (--left === 0) child.kill("SIGKILL");
  });
  const [, signal] = await gone;
  expect(signal).toBe("SIGKILL");
  return acknowledged;
}

test("kill -9 loses nothing acknowledged, doubles nothing, and leaves state and outputs agreeing", {
  timeout: 60_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  try {
    let acknowledged = 0;
    for (const batches of [1, 7, 20, 33, 60]) {
      // The next life begins behind what the last one was told: its batches in flight come again.
      acknowledged = await runAndKill(directory, acknowledged + 1, batches);
      const log = new EmbeddedEventLog({ directory });
      await log.start();
      const journal = (await all(log.read("events"))).map(held);
      expect(journal.length).toBeGreaterThanOrEqual(acknowledged);
      expect(journal).toEqual(Array.from({ length: journal.length }, (_, i) => i + 1));
      // Every output is of the input at its place, and the state went with them: counts go on without a hole.
      const outs = await all(log.read("out"));
      expect(outs.map(held)).toEqual(Array.from({ length: outs.length }, (_, i) => i + 1));
      expect(outs.map((one) => Number(one.headers.ce_id))).toEqual(outs.map((_, i) => i));
      expect(outs.length).toBeLessThanOrEqual(journal.length);
      await log.stop();
    }
    expect(acknowledged).toBeGreaterThanOrEqual(121 * 20);
  } finally {
    await rm(directory, { recursive: true });
  }
});
