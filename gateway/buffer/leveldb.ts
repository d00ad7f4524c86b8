/**
 * The durable buffer on LevelDB, as the gateway uses it.
 *
 * Where to read on: group-commit-buffer.ts says how a reading is written, read and acknowledged; level-storage.ts what is
 * on the disk and how it is opened; salvage.ts what happens to a damaged one.
 */
import type { Logger } from "pino";
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import type { Owner } from "./chapters.core.ts";
import { GroupCommitBuffer } from "./group-commit-buffer.ts";
import { LevelStorage } from "./level-storage.ts";
import type { Limits } from "./limits.ts";
import type { FullPolicy } from "./port.ts";

export interface LevelBufferOptions {
  /** Of the store; files beside it begin with the same name. */
  readonly directory: string;
  /** True only at the very first start of a gateway: a store that went missing must not become an empty one. */
  readonly createIfMissing: boolean;
  /** Makes the id of an epoch: for a new store, and whenever sequences could repeat. */
  readonly makeEpoch: () => Epoch;
  /** Whose epochs begin now; undefined for the gateway and the hardware that the buffer was made for. */
  readonly owner?: Owner | undefined;
  /** Id of that gateway. */
  readonly origin?: GatewayId | undefined;
  /** What the buffer's own events say of their moment. */
  readonly stamp: () => Stamp;
  /** What may wait to be forwarded, in bytes of events. */
  readonly capacityBytes: number;
  readonly policy: FullPolicy;
  /** With less left on the disk the buffer grows no more, bytes. */
  readonly freeFloorBytes: number;
  /** How long a commit may gather before it is written, ms. */
  readonly commitWindowMs: number;
  readonly logger?: Logger;
  readonly limits?: Partial<Limits>;
}

export class LevelBuffer extends GroupCommitBuffer {
  constructor(options: LevelBufferOptions) {
    const { directory, createIfMissing, makeEpoch, owner, origin, stamp, ...rest } = options;
    super({
      ...rest,
      stamp,
      storage: new LevelStorage({ directory, createIfMissing, makeEpoch, owner, origin, stamp }),
    });
  }
}
