/**
 * What the gateway knows of time, kept in its data directory: whether the running boot's time is known, and the newest
 * time of its past. A clock that starts at the image's date, or jumps back by years, is noticed by it.
 *
 * It is written rarely: at changes, once in a while for the floor, and at the stop. Nothing in it is worth refusing to
 * start: one that is missing or cannot be read only makes the gateway believe any plausible time again.
 */
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import type { Known } from "./clock.core.ts";

const FORMAT = 1;

/** Where it is kept. */
export interface KnownStore {
  /** For people. */
  readonly name: string;
  /** @returns undefined where there is none, or none that can be read */
  read(): Known | undefined;
  /** Whole or not at all. @throws where the disk does not take it */
  write(known: Known): Promise<void>;
}

export function knownFile(path: string): KnownStore {
  return {
    name: path,
    read: () => readKnown(path),
    write: (known) => writeKnown(path, known),
  };
}

function readKnown(path: string): Known | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    return parse(JSON.parse(text) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

function parse(content: Record<string, unknown>): Known | undefined {
  const { format, boot, offset = null, since, trail, floor, earlier, agreed = null } = content;
  const numberOrNull = (value: unknown) => value === null || Number.isFinite(value);
  const fits =
    format === FORMAT &&
    typeof boot === "string" &&
    numberOrNull(offset) &&
    numberOrNull(agreed) &&
    Number.isFinite(since) &&
    Number.isFinite(floor) &&
    Array.isArray(trail) &&
    trail.every(Number.isFinite) &&
    Array.isArray(earlier) &&
    earlier.every(
      (one) => Array.isArray(one) && typeof one[0] === "string" && Number.isFinite(one[1]),
    );
  if (!fits) return undefined;
  return {
    boot,
    offset: (offset as number | null) ?? undefined,
    since: since as number,
    trail: trail as number[],
    floor: floor as number,
    earlier: earlier as [string, number][],
    agreed: (agreed as number | null) ?? undefined,
  };
}

async function writeKnown(path: string, known: Known): Promise<void> {
  const { boot, offset, since, trail, floor, earlier, agreed } = known;
  const content = { format: FORMAT, boot, offset, since, trail, floor, earlier, agreed };
  const file = await open(`${path}.new`, "w");
  try {
    await file.writeFile(`${JSON.stringify(content)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
