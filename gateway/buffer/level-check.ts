/** Looks at the tables of a store before LevelDB does: see level-sound.core.ts for what it would do with damaged ones. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { liveTables } from "./level-manifest.core.ts";
import { tableFault } from "./level-sound.core.ts";
import { BufferError } from "./port.ts";

/** Of the disk, or gone meanwhile: both are LevelDB's to tell, in words that say whether trying again may help. */
const NOT_OURS: ReadonlySet<string> = new Set(["EIO", "ENOENT"]);

/**
 * Tables that the MANIFEST does not name are not looked at: LevelDB deletes them unread.
 * @throws BufferError `damaged` where a table is not what was written
 */
export async function refuseDamagedTables(directory: string): Promise<void> {
  const live = await namedTables(directory);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const { name } = entry;
    if (!entry.isFile() || !/^\d+\.(ldb|sst)$/.test(name)) continue;
    if (live && !live.has(Number.parseInt(name, 10))) continue;
    let table: Buffer;
    try {
      table = await readFile(join(directory, name));
    } catch (error) {
      if (NOT_OURS.has((error as NodeJS.ErrnoException).code ?? "")) continue;
      throw error;
    }
    const fault = tableFault(table);
    if (fault !== undefined) {
      throw new BufferError("damaged", `table ${name} in ${directory} is damaged: ${fault}`);
    }
  }
}

/** @returns undefined where that cannot be told, and then all are looked at */
async function namedTables(directory: string): Promise<ReadonlySet<number> | undefined> {
  try {
    const name = (await readFile(join(directory, "CURRENT"), "utf8")).trim();
    return /^MANIFEST-\d+$/.test(name)
      ? liveTables(await readFile(join(directory, name)))
      : undefined;
  } catch {
    return undefined;
  }
}
