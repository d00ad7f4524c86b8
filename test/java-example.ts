/**
 * A Java example, built by Maven as its reader would, beside the sources: in a cache folder named by their content, so that each
 * state of them is built once. Where that cannot be done the answer is a reason; with CI=true it is an error.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { missingCommand } from "./debian.ts";
import { root } from "./program.ts";

const exec = promisify(execFile);

export type JavaExample =
  | { readonly available: true; readonly folder: string }
  | { readonly available: false; readonly reason: string };

/** One process builds it, the others wait for the lock; the mark says that it is whole. */
const BUILD = `set -e
[ -e "$2/whole" ] && exit 0
rm -rf "$2"
cp -r "$1" "$2"
cd "$2"
mvn -q -B package
touch whole`;

/** @param path of the folder with the pom.xml, from the project's root */
export async function javaExample(path: string): Promise<JavaExample> {
  try {
    const missing =
      (await missingCommand("javac", "default-jdk-headless")) ??
      (await missingCommand("mvn", "maven"));
    if (missing) return { available: false, reason: missing };
    const source = join(root, path);
    const folder = join(root, ".cache", `${path.replaceAll("/", "-")}-${digest(source)}`);
    if (existsSync(join(folder, "whole"))) return { available: true, folder };
    await mkdir(join(root, ".cache"), { recursive: true });
    await exec("flock", [`${folder}.lock`, "sh", "-c", BUILD, "sh", source, folder], {
      maxBuffer: 2 ** 26,
    });
    return { available: true, folder };
  } catch (error) {
    if (process.env.CI === "true") throw error;
    const said = String((error as { stdout?: string }).stdout || error).trim();
    return { available: false, reason: `${path} could not be built: ${said.slice(0, 300)}` };
  }
}

function digest(folder: string): string {
  const hash = createHash("sha256");
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).toSorted()) {
    if (name.startsWith("target")) continue;
    const file = join(folder, name);
    if (statSync(file).isFile()) hash.update(`${name}\0`).update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex").slice(0, 12);
}
