/**
 * Garbage is collected when a part of a large work is done. Left alone V8 lets it grow by what the machine has: with 24 GB
 * that was half a gigabyte beside some fifty megabytes that were in use.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

export function forgetGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
