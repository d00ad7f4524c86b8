/**
 * A power cut at every step of opening a damaged buffer: strace kills the process at its first change of a file, its
 * second, its third, until it comes to its end untouched. Whatever it left, the next start finds the same truth. And once
 * more with each of those steps failing in the place of a power cut.
 *
 * TEST_STEPS=all takes every step; otherwise every few of them, from a place that differs from run to run.
 */
import { execFile } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  type Acknowledged,
  ALL,
  bufferIn,
  judge,
  temporary,
  use,
} from "../gateway/buffer/used-buffer.ts";
import { missingCommand } from "./debian.ts";
import { root as project } from "./program.ts";

const exec = promisify(execFile);
const child = join(project, "gateway", "buffer", "open.child.ts");
const STRIDE = process.env.TEST_STEPS === "all" ? 1 : 3;

/** Everything that changes a file or makes a change durable. */
const CHANGES = [
  ...["rename", "unlink", "rmdir", "mkdir", "link", "fsync", "fdatasync", "pwrite64", "ftruncate"],
].join(",");

const missing = await missingCommand("strace", "strace");
if (missing) console.warn(`skipped: power cuts at every step of an opening: ${missing}`);

async function damaged(): Promise<{ root: string; acknowledged: Acknowledged }> {
  const { root, acknowledged } = await use(temporary(), { readings: 200, released: 40, group: 9 });
  const store = join(root, "buffer");
  const [log] = readdirSync(store)
    .filter((name) => name.endsWith(".log"))
    .sort((a, b) => statSync(join(store, b)).size - statSync(join(store, a)).size);
  const path = join(store, log ?? "");
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, 0);
  await file.close();
  return { root, acknowledged };
}

/** @returns whether the process met the fault */
async function openedWith(root: string, fault: string, step: number): Promise<boolean> {
  const inject = `inject=${CHANGES}:${fault}:when=${step}`;
  const trace = join(root, "trace");
  const args = ["-f", "-qq", "-o", trace, "-e", `trace=${CHANGES}`, "-e", inject];
  // One thread for all file operations, so that the steps have one order.
  const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };
  await exec("strace", [...args, process.execPath, child, root], { env, timeout: 30_000 }).catch(
    () => undefined,
  );
  const text = await readFile(trace, "utf8");
  await rm(trace);
  return /INJECTED|SIGKILL|\bkilled by\b/.test(text);
}

async function truth(root: string, acknowledged: Acknowledged) {
  const buffer = bufferIn(root);
  await buffer.start();
  try {
    const { released } = buffer.stats().positions;
    return judge(acknowledged, await buffer.read(released, ALL));
  } finally {
    await buffer.stop();
  }
}

describe.skipIf(missing !== undefined)("an opening that is cut off", () => {
  test.each([
    ["a power cut", "signal=KILL"],
    ["a full disk", "error=ENOSPC"],
    ["a failing disk", "error=EIO"],
  ])(
    "[DAMAGE-8] by %s at any step comes to the same end",
    { timeout: 600_000 },
    async (_, fault) => {
      const whole = await damaged();
      const expected = await truth(whole.root, whole.acknowledged);
      expect(expected.declared).toBeGreaterThan(0);
      await rm(whole.root, { recursive: true });
      let met = 0;
      for (let step = 1 + Math.floor(Math.random() * STRIDE); ; step += STRIDE) {
        const { root, acknowledged } = await damaged();
        const struck = await openedWith(root, fault, step);
        expect(await truth(root, acknowledged), `step ${step}`).toEqual(expected);
        await rm(root, { recursive: true });
        if (!struck) break;
        met += 1;
      }
      expect(met * STRIDE).toBeGreaterThan(9);
    },
  );
});
