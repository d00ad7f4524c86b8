/**
 * The data directory, before anything is opened in it. What cannot be made or written is told at once: Node's recursive
 * mkdir does not come back on file systems that refuse directories, as /proc does.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CommandError } from "./errors.ts";

/** @throws CommandError with the flag to give and what stands in the way */
export function makeDataDirectory(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.unshift(at);
  const refuse = (why: string, cause?: unknown) =>
    new CommandError(
      `the data directory ${path} cannot be written (${why}); name another with --data-dir`,
      1,
      { cause },
    );
  try {
    if (!statSync(at).isDirectory()) throw refuse(`${at} is not a directory`);
    for (const one of missing) mkdirSync(one);
    accessSync(resolve(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code, path: where = path } = error as NodeJS.ErrnoException;
    throw refuse(`${code} at ${where}`, error);
  }
}
