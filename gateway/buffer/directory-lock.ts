/**
 * One process for each data directory, from before anything in it is looked at until the end. LevelDB's own lock comes
 * too late for that: a store is secured before it is opened, and is closed while a damaged one is salvaged. Here it is used
 * on a store of its own that holds nothing, because Node has no file locks.
 */
import { removeDirectory } from "./directories.ts";
import { openStore, type Store } from "./level-store.ts";
import { BufferError } from "./port.ts";

export class DirectoryLock {
  readonly #path: string;
  #held: Store | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Idempotent. @throws BufferError `in_use` where another process has it; `unavailable`, `unwritable` */
  async acquire(): Promise<void> {
    if (this.#held) return;
    try {
      this.#held = await openStore(this.#path, true);
    } catch (error) {
      if ((error as BufferError).code !== "damaged") throw told(error as BufferError, this.#path);
      // It holds nothing that could be lost.
      await removeDirectory(this.#path);
      this.#held = await openStore(this.#path, true);
    }
  }

  async release(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    await held?.close();
  }
}

function told(error: BufferError, path: string): BufferError {
  if (error.code !== "in_use") return error;
  const directory = path.replace(/\.lock$/, "");
  return new BufferError(
    "in_use",
    `another process has the buffer in ${directory} open; stop it, or start this one with another --data-dir`,
    { cause: error },
  );
}
