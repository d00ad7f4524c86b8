/** Looks at the tables of a store before LevelDB does: see level-sound.core.ts for what it would do with damaged ones. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { tableFault } from "./level-sound.core.ts";
import { BufferError } from "./port.ts";

/** Of the disk, or gone meanwhile: both are LevelDB's to tell, in words that say whether trying again may help. */
const NOT_OURS: ReadonlySet<string> = new Set(["EIO", "ENOENT"]);

/** @throws BufferError `damaged` where a table is not what was written */
export async function refuseDamagedTables(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const { name } = entry;
    if (!entry.isFile() || !/^\d+\.(ldb|sst)$/.test(name)) continue;
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
