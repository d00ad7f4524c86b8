/** Writing to somebody who may be slower than we are: standard output in a pipe, a client over HTTP. */
import { once } from "node:events";
import type { Writable } from "node:stream";

/**
 * Resolves when more may be written. Also when the signal says that nobody reads any more: who owns the stream aborts it
 * on `close` and `error`. No listener stays behind, however often it is called.
 */
export async function writePatiently(
  out: Writable,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || out.write(text)) return;
  try {
    await once(out, "drain", { signal });
  } catch (error) {
    // What the stream met is its owner's to tell.
    if (!signal.aborted && !out.destroyed) throw error;
  }
}
