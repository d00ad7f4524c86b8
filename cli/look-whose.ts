/** Looks at a gateway's identity in its data directory, and at this machine, and changes neither. */

import { firstBoards, settle } from "../gateway/boards.core.ts";
import { type BoardsOptions, readBoards } from "../gateway/boards.ts";
import { hashed, lookAtHardware } from "../gateway/hardware.ts";
import { readIdentity } from "../gateway/identity.ts";
import type { Whose } from "./whose.core.ts";

export async function lookWhose(
  dataDir: string,
  settings: { readonly gateway_id?: string; readonly hardware: BoardsOptions["hardware"] },
): Promise<Whose> {
  const hardware = await lookAtHardware({ set: settings.hardware.id });
  const identity = await readIdentity(dataDir);
  if (!identity) return { hardware, boards: undefined, next: undefined };
  const { boards: kept, faults } = await readBoards(dataDir);
  // Data of an earlier version learn at their next start; what they would learn says nothing of them.
  const salt = kept?.salt ?? "";
  const now = hashed(hardware.evidence, salt);
  const boards = kept ?? firstBoards(identity.gateway, salt, faults.length > 0 ? {} : now);
  const onNewHardware = settings.hardware.on_new_hardware;
  return {
    hardware,
    boards,
    next: settle(boards, now, { wanted: settings.gateway_id, onNewHardware }),
  };
}
