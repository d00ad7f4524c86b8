/**
 * An object store that is a directory: on the gateway's own disk, or a share that is mounted there. An object is a file,
 * its key the path. Durable by fsync of the file and of every directory that was made for it.
 */
import { access, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { makeDirectories, writeDurably } from "./durable-file.ts";
import { Housekeeping, type OwnDirectoryLimits } from "./housekeeping.ts";
import { isObjectKey } from "./keys.core.ts";
import { type ObjectStore, ObjectStoreError, type Pace, type StoreObject } from "./port.ts";

export interface DirectoryStoreOptions {
  readonly directory: string;
  /**
   * It is the gateway's: it is made where it is not there, and kept within bounds. One that somebody named is theirs, and may
   * be a share that is not mounted.
   */
  readonly own?: OwnDirectoryLimits;
  /** Begins the URI of every object; default the directory as a file URL. */
  readonly baseUrl?: string | undefined;
}

export class DirectoryStore implements ObjectStore {
  readonly kind = "directory";
  readonly #options: DirectoryStoreOptions;
  readonly #housekeeping: Housekeeping | undefined;

  constructor(options: DirectoryStoreOptions) {
    this.#options = options;
    const { directory, own } = options;
    this.#housekeeping = own && new Housekeeping(directory, own);
  }

  get place(): string {
    return this.#options.directory;
  }

  refOf(key: string): string {
    const { baseUrl, directory } = this.#options;
    return baseUrl === undefined
      ? pathToFileURL(join(directory, key)).href
      : baseUrl.replace(/\/?$/, "/") + key;
  }

  async put(object: StoreObject, signal: AbortSignal, pace?: Pace): Promise<void> {
    const path = this.#path(object.key);
    signal.throwIfAborted();
    try {
      if (!this.#housekeeping) await access(this.#options.directory);
      else {
        await makeDirectories(this.#options.directory);
        await this.#housekeeping.makeRoom(object.bytes.length);
      }
      await makeDirectories(dirname(path));
      await pace?.(object.bytes.length, signal);
      const end = (sha256: string) => {
        if (sha256 !== object.sha256) {
          throw new ObjectStoreError("corrupt", `${object.key} is not what its digest says`);
        }
        return Buffer.alloc(0);
      };
      await writeDurably(path, object.bytes, end, () => !signal.aborted);
      signal.throwIfAborted();
    } catch (error) {
      throw this.#told(error, signal);
    }
  }

  async get(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path(key), { signal });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.#told(error, signal);
    }
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    try {
      await rm(this.#path(key), { force: true });
    } catch (error) {
      throw this.#told(error, signal);
    }
  }

  #path(key: string): string {
    if (!isObjectKey(key)) throw new ObjectStoreError("refused", `${key} is no key of an object`);
    return join(this.#options.directory, key);
  }

  #told(error: unknown, signal: AbortSignal): unknown {
    if (error instanceof ObjectStoreError) return error;
    if (signal.aborted) return signal.reason;
    const { directory } = this.#options;
    const { code = "", message } = error as NodeJS.ErrnoException;
    switch (code) {
      case "ENOENT":
        return new ObjectStoreError(
          "missing",
          `the directory ${directory} is not there: make it, or mount it (payloads.directory)`,
          { cause: error },
        );
      case "ENOSPC":
      case "EDQUOT":
        return new ObjectStoreError("full", `the disk of ${directory} is full`, { cause: error });
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return new ObjectStoreError("denied", `${directory} cannot be written: ${message}`, {
          cause: error,
        });
      default:
        return new ObjectStoreError("unreachable", `${directory}: ${message}`, { cause: error });
    }
  }
}
