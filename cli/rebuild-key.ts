/**
 * Who may ask a running program for a rebuild: whoever can read `rebuild.key` in its data directory, which only its own user
 * can. Its pages ask for no password, and a rebuild is nothing that a page on the web should be able to begin.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "rebuild.key";

/** @returns undefined where the disk takes no file: then nobody can ask */
export function writeRebuildKey(dataDir: string): string | undefined {
  const key = randomBytes(24).toString("base64url");
  try {
    rmSync(join(dataDir, FILE), { force: true });
    writeFileSync(join(dataDir, FILE), `${key}\n`, { mode: 0o600 });
    return key;
  } catch {
    return undefined;
  }
}

/** @throws where it cannot be read */
export function readRebuildKey(dataDir: string): string {
  return readFileSync(join(dataDir, FILE), "utf8").trim();
}

/** @param header `Bearer …` */
export function mayRebuild(key: string | undefined, header: string | undefined): boolean {
  const [given, wanted] = [Buffer.from(header ?? ""), Buffer.from(`Bearer ${key}`)];
  return key !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted);
}
