/**
 * The table of boards (boards.core.ts) in the data directory, beside the identity and like it twice: `hardware.json` and a
 * copy, each replaced whole, under a checksum. Data of an earlier version have none and get one at their first start.
 *
 * It is a memory and no lock: where it is lost, or the disk takes nothing, the gateway goes on with what it can tell.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "pino";
import { type GatewayId, isGatewayId } from "../events/ids.ts";
import { pause, systemTimers } from "../time/timers.ts";
import {
  type Board,
  type Boards,
  currentOf,
  firstBoards,
  type OnNewHardware,
  type Settled,
  settle,
} from "./boards.core.ts";
import { certainly, type Evidence, isEmpty, KINDS } from "./hardware.core.ts";
import { type Hardware, hashed, lookAtHardware } from "./hardware.ts";
import { IdentityError, replaceFile } from "./identity.ts";

export interface BoardsOptions {
  readonly dataDir: string;
  /** Of the data, as `gateway.json` has it. */
  readonly gateway: GatewayId;
  /** `gateway_id` of the configuration. */
  readonly wanted: string | undefined;
  readonly hardware: { readonly id?: string; readonly on_new_hardware: OnNewHardware };
  readonly logger: Logger;
  /** Default: this machine. */
  readonly look?: () => Promise<Hardware>;
  /** Between the first look at hardware that seems to be other and the second, ms. */
  readonly lookAgainMs?: number;
}

/** Network cards of a machine that comes up may be late. */
const LOOK_AGAIN_MS = 5000;

const FILES = ["hardware.json.copy", "hardware.json"] as const;
const SALT_BYTES = 16;

/** @throws IdentityError `other_gateway` */
export async function settleHardware(options: BoardsOptions): Promise<Settled> {
  const { dataDir, gateway, wanted, hardware, logger } = options;
  const look = options.look ?? (() => lookAtHardware({ set: hardware.id }));
  const { boards, faults } = await readBoards(dataDir);
  // A table of other data says nothing of these.
  const kept = boards?.origin === gateway ? boards : undefined;
  if (faults.length > 0) tellFaults(kept !== undefined, faults, logger);
  const salt = kept?.salt ?? randomBytes(SALT_BYTES).toString("hex");
  let now = hashed((await look()).evidence, salt);
  // A table that is damaged told of hardware that may have been another one: what is here now is news.
  const table = kept ?? firstBoards(gateway, salt, faults.length > 0 ? {} : now);
  const wishes = { wanted, onNewHardware: hardware.on_new_hardware };
  let settled = settle(table, now, wishes);
  const { evidence: known } = currentOf(table);
  if (settled?.from && !isEmpty(known) && certainly(known, now) === "unknown") {
    await pause(systemTimers, options.lookAgainMs ?? LOOK_AGAIN_MS);
    now = hashed((await look()).evidence, salt);
    settled = settle(table, now, wishes);
  }
  if (!settled) {
    const { gateway: owner } = currentOf(table);
    throw new IdentityError(
      "other_gateway",
      `${dataDir} belongs to gateway ${owner}, the configuration says ${wanted}: its buffered readings would change their owner. Use another --data-dir for ${wanted}, or leave gateway_id out`,
    );
  }
  tell(settled, options);
  if (faults.length > 0 || JSON.stringify(settled.boards) !== JSON.stringify(kept)) {
    try {
      await writeBoards(dataDir, settled.boards);
    } catch (error) {
      logger.error(
        { reason: (error as Error).message },
        "on which hardware this gateway runs could not be written down; the next start tries again",
      );
    }
  }
  return settled;
}

function tellFaults(isKnown: boolean, faults: readonly string[], logger: Logger): void {
  if (isKnown)
    logger.warn({ faults }, "hardware.json was damaged and is written again from its copy");
  else {
    logger.error(
      { faults },
      "nothing says any more on which hardware this gateway ran before: it is taken for this one",
    );
  }
}

function tell(settled: Settled, { wanted, hardware, logger }: BoardsOptions): void {
  const { from, board, known } = settled;
  const { gateway, base } = board;
  if (!known) {
    logger.info(
      { gateway },
      "nothing tells this hardware from other hardware, so a copied card would not be noticed: set hardware.id",
    );
  }
  if (gateway !== base) {
    const configured = wanted === base ? " (gateway_id was copied with it)" : "";
    logger.warn(
      { gateway, was: from?.gateway ?? base, hardware: board.name },
      `the data of ${base} is on other hardware than where it began, so this is gateway ${gateway}${configured}: what it held goes out as ${base}'s, and neither loses anything. Is it a copy, set gateway_id to name it; was the board replaced, set hardware.on_new_hardware: keep`,
    );
  } else if (from) {
    const why = hardware.on_new_hardware === "keep" ? ", as hardware.on_new_hardware says" : "";
    logger.warn(
      { gateway, was: from.gateway, hardware: board.name },
      `other hardware or another name than before, or the first time that this hardware can be told: this is gateway ${gateway}${why}, and a new epoch begins`,
    );
  }
}

/** @returns no boards where there is no table, or none that can be understood; `faults` says what is wrong with the files */
export async function readBoards(
  dataDir: string,
): Promise<{ readonly boards: Boards | undefined; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  const missing: string[] = [];
  const found: Boards[] = [];
  for (const name of FILES.toReversed()) {
    try {
      found.push(parse(await readFile(join(dataDir, name), "utf8")));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT") faults.push(`${name}: ${message}`);
      else missing.push(`${name}: it is not there`);
    }
  }
  return { boards: found[0], faults: found.length > 0 ? [...faults, ...missing] : faults };
}

async function writeBoards(dataDir: string, boards: Boards): Promise<void> {
  const content = JSON.stringify(boards);
  const text = `${JSON.stringify({ ...boards, check: checkOf(content) }, null, 2)}\n`;
  for (const name of FILES) await replaceFile(dataDir, name, text);
}

function checkOf(content: string): string {
  return crc32(content).toString(16).padStart(8, "0");
}

function parse(text: string): Boards {
  const { check, ...boards } = JSON.parse(text) as Boards & { readonly check: unknown };
  if (check !== checkOf(JSON.stringify(boards))) throw new Error("it is not what was written");
  const { origin, salt, boards: list, current } = boards;
  const sound =
    isGatewayId(origin) &&
    typeof salt === "string" &&
    typeof current === "string" &&
    list.length > 0 &&
    list.every(isBoard);
  if (!sound) throw new Error("it does not hold hardware");
  return boards;
}

function isBoard({ name, gateway, base, evidence }: Board): boolean {
  return (
    /^[0-9a-z]{10}$/.test(name) && isGatewayId(gateway) && isGatewayId(base) && isEvidence(evidence)
  );
}

function isEvidence(evidence: Evidence): boolean {
  return KINDS.every((kind) => evidence[kind] === undefined || Array.isArray(evidence[kind]));
}
