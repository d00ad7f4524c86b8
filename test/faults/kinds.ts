/** All kinds of faults. */
import type { Kind } from "./kind.ts";
import { damage } from "./kinds/damage.ts";
import { damageAgain } from "./kinds/damage-again.ts";
import { fullDisk } from "./kinds/full-disk.ts";
import { ioErrors } from "./kinds/io-errors.ts";
import { kill } from "./kinds/kill.ts";
import { oldBuffer, oldDirectory } from "./kinds/old-copy.ts";
import { powerCut } from "./kinds/power-cut.ts";
import { readOnly } from "./kinds/read-only.ts";
import { slowFsync } from "./kinds/slow-fsync.ts";

export const KINDS: readonly Kind[] = [
  kill,
  powerCut,
  fullDisk,
  readOnly,
  ioErrors,
  slowFsync,
  damage,
  damageAgain,
  oldBuffer,
  oldDirectory,
];
