/**
 * Python with packages of its own, in a virtual environment that is made once and kept in a cache folder between runs. Where
 * there can be none the answer is a reason; with CI=true that is an error, because nothing is skipped there.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { installDebianPackage, missingCommand } from "./debian.ts";
import { root } from "./program.ts";

const exec = promisify(execFile);

export type Python =
  | { readonly available: true; readonly command: string }
  | { readonly available: false; readonly reason: string };

/** One process makes it, the others wait for the lock; the mark says that it is whole. */
const MAKE = `set -e
[ -e "$1/whole" ] && exit 0
rm -rf "$1"
python3 -m venv "$1"
folder=$1
shift
"$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
touch "$folder/whole"`;

/** @param packages as pip takes them, with their versions */
export async function pythonWith(packages: readonly string[]): Promise<Python> {
  try {
    const missing = (await missingCommand("python3", "python3")) ?? (await missingVenv());
    if (missing) return { available: false, reason: missing };
    const name = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
    const folder = join(root, ".cache", `python-${name}`);
    const command = join(folder, "bin", "python");
    if (existsSync(join(folder, "whole"))) return { available: true, command };
    await mkdir(join(root, ".cache"), { recursive: true });
    await exec("flock", [`${folder}.lock`, "sh", "-c", MAKE, "sh", folder, ...packages], {
      maxBuffer: 2 ** 26,
    });
    return { available: true, command };
  } catch (error) {
    if (process.env.CI === "true") throw error;
    const said = String((error as { stderr?: string }).stderr || error).trim();
    return {
      available: false,
      reason: `no Python with ${packages.join(", ")}: ${said.slice(-300)}`,
    };
  }
}

/** Debian keeps what a virtual environment needs in a package of its own. */
async function missingVenv(): Promise<string | undefined> {
  const there = () =>
    exec("python3", ["-c", "import ensurepip, venv"]).then(
      () => true,
      () => false,
    );
  if (await there()) return undefined;
  if (process.env.CI !== "true") return "python3 has no venv (package python3-venv)";
  await installDebianPackage("python3-venv");
  if (await there()) return undefined;
  throw new Error("python3 needs venv, and package python3-venv did not bring it");
}
