/** All kinds of faults. */
import type { Kind } from "./kind.ts";
import { kill } from "./kinds/kill.ts";

export const KINDS: readonly Kind[] = [kill];
