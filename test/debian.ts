/**
 * Commands that come from Debian's packages. Where one is missing, CI=true installs it; elsewhere the test that needs it is
 * skipped with the reason.
 */
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

async function isThere(command: string): Promise<boolean> {
  return await exec("sh", ["-c", 'command -v "$1"', "sh", command]).then(
    () => true,
    () => false,
  );
}

/** One at a time over all test processes: apt's own locks make the second one fail instead of wait. */
export async function installDebianPackage(debianPackage: string): Promise<void> {
  const script = 'apt-get update -q && apt-get install -q -y --no-install-recommends "$1"';
  const lock = join(tmpdir(), "tidegate-apt.lock");
  await exec("flock", [lock, "sh", "-c", script, "sh", debianPackage], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 2 ** 26,
  });
}

/**
 * @returns undefined where the command can be used, else why the test is skipped
 * @throws Error with CI=true where it cannot be installed: nothing is skipped there
 */
export async function missingCommand(
  command: string,
  debianPackage: string,
): Promise<string | undefined> {
  if (await isThere(command)) return undefined;
  if (process.env.CI !== "true") return `${command} is not installed (package ${debianPackage})`;
  await installDebianPackage(debianPackage);
  if (await isThere(command)) return undefined;
  throw new Error(`${command} is needed and package ${debianPackage} did not bring it`);
}
