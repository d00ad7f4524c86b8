/**
 * Who this gateway is, kept in its data directory beside the buffer, twice: the gateway starts whatever happens to one of
 * the two files, and needs nobody for that.
 *
 * The files also remember that the buffer was made: a buffer that is missing after that is a loss to be told, never a
 * reason for a new empty one under sequences that were used before.
 *
 * The copy is written first and each is replaced whole, so a power cut leaves at least one. Where they differ the first
 * counts, but that the buffer was made is believed of either. Where neither can be read, the damaged files are kept aside
 * and the gateway goes on under the id that what stands beside them remembers (boards.ts), the configured one, or a new one.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "pino";
import { type GatewayId, isGatewayId, makeGatewayId } from "../events/ids.ts";

export interface Identity {
  readonly gateway: GatewayId;
  readonly bufferMade: boolean;
}

/** `code` is `unwritable`, `unreadable` or `other_gateway`; the message says what to do. */
export class IdentityError extends Error {
  readonly code: "unwritable" | "unreadable" | "other_gateway";
  constructor(code: IdentityError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "IdentityError";
    this.code = code;
  }
}

const FIRST = "gateway.json";
const COPY = "gateway.json.copy";

/** One of the two files as it was found. */
interface Found {
  readonly name: string;
  /** Undefined where there is no file, or none that can be understood. */
  readonly identity: Identity | undefined;
  /** Why it cannot be understood; undefined where it can, or is not there. */
  readonly fault: string | undefined;
}

/**
 * Reads the identity, or makes it at the first start. Mends what is damaged of it.
 * @param wanted the id from the configuration, where it sets one: for data that has none (boards.ts holds it against others)
 * @param remembered the id that something else knows the data by
 * @throws IdentityError
 */
export async function loadIdentity(
  dataDir: string,
  wanted?: string,
  logger?: Logger,
  remembered?: GatewayId,
): Promise<Identity> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    throw unwritable(dataDir, error as Error);
  }
  const files = [await look(dataDir, FIRST), await look(dataDir, COPY)] as const;
  const kept = files[0].identity ?? files[1].identity;
  if (!kept) return await make(dataDir, remembered ?? wanted, files, logger, remembered);
  const bufferMade = files.some(({ identity }) => identity?.bufferMade);
  const identity = { gateway: kept.gateway, bufferMade };
  if (files.every((file) => file.identity && same(file.identity, identity))) return identity;
  await mend(dataDir, identity, files, logger);
  return identity;
}

/** Only looks. @returns undefined where there is none, or none that can be understood */
export async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  const files = [await look(dataDir, FIRST), await look(dataDir, COPY)] as const;
  return files[0].identity ?? files[1].identity;
}

/** Whole or not at all, and on disk before it resolves; the copy first. */
export async function saveIdentity(dataDir: string, identity: Identity): Promise<void> {
  try {
    for (const name of [COPY, FIRST]) await write(dataDir, name, identity);
  } catch (error) {
    throw unwritable(dataDir, error as Error);
  }
}

async function write(dataDir: string, name: string, identity: Identity): Promise<void> {
  const content = { gateway: identity.gateway, buffer_made: identity.bufferMade };
  const text = JSON.stringify({ ...content, check: checkOf(identity) }, null, 2);
  await replaceFile(dataDir, name, `${text}\n`);
}

/** On disk when it resolves: the new content, or after a power cut before that the old one. */
export async function replaceFile(dataDir: string, name: string, text: string): Promise<void> {
  const path = join(dataDir, name);
  const file = await open(`${path}.new`, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function same(a: Identity, b: Identity): boolean {
  return a.gateway === b.gateway && a.bufferMade === b.bufferMade;
}

/** Gives the other file what is known. A disk that is full now must not keep the gateway from starting. */
async function mend(
  dataDir: string,
  identity: Identity,
  files: readonly Found[],
  logger: Logger | undefined,
): Promise<void> {
  const faults = files.flatMap(({ name, fault }) => (fault ? [`${name}: ${fault}`] : []));
  const [first, copy] = files;
  if (!first?.identity && !first?.fault) faults.push(`${FIRST} was not there`);
  if (first?.identity && copy?.identity && first.identity.gateway !== copy.identity.gateway) {
    faults.push(`${COPY} named ${copy.identity.gateway}`);
  }
  // Data of an earlier version have no copy yet; that is no fault.
  if (faults.length > 0) {
    logger?.warn(
      { gateway: identity.gateway, faults },
      "the gateway's identity was damaged and is written again from its other file",
    );
  }
  try {
    await saveIdentity(dataDir, identity);
  } catch (error) {
    logger?.error(
      { reason: (error as Error).message },
      "the gateway's identity stands in one file only",
    );
  }
}

/** Of a first start, or where nothing that can be read says whose data this is. */
async function make(
  dataDir: string,
  wanted: string | undefined,
  files: readonly Found[],
  logger: Logger | undefined,
  remembered: GatewayId | undefined,
): Promise<Identity> {
  const gateway = wanted ?? makeGatewayId(randomBytes(8));
  if (!isGatewayId(gateway)) throw new Error(`not a gateway id: ${gateway}`);
  const made = { gateway, bufferMade: await hasBuffer(dataDir) };
  const damaged = files.filter(({ fault }) => fault !== undefined);
  let aside: readonly string[] = [];
  try {
    aside = await keepAside(dataDir, damaged);
  } catch (error) {
    throw unwritable(dataDir, error as Error);
  }
  await saveIdentity(dataDir, made);
  const faults = damaged.map(({ name, fault }) => `${name}: ${fault}`);
  if (remembered !== undefined) {
    logger?.warn(
      { gateway, faults, aside },
      "the gateway's identity was damaged or gone and is written again from hardware.json",
    );
  } else if (made.bufferMade || damaged.length > 0) {
    const whose =
      wanted === undefined ? "it has a new id from here on" : "it has the id of the configuration";
    logger?.error(
      { gateway, faults, aside },
      `nothing says any more which gateway this is: ${whose}, under which what is buffered goes out too; set gateway_id to name it`,
    );
  }
  return made;
}

/** Whether there is anything of a buffer, or of what stands beside one. */
async function hasBuffer(dataDir: string): Promise<boolean> {
  const names = await readdir(dataDir);
  return names.some((name) => name === "buffer" || name.startsWith("buffer."));
}

/** @returns the names that the damaged files have now */
async function keepAside(dataDir: string, damaged: readonly Found[]): Promise<readonly string[]> {
  const taken = new Set(await readdir(dataDir));
  const aside: string[] = [];
  for (const { name } of damaged) {
    let number = 1;
    while (taken.has(`${name}.damaged-${number}`)) number += 1;
    const target = `${name}.damaged-${number}`;
    await rename(join(dataDir, name), join(dataDir, target));
    aside.push(target);
  }
  return aside;
}

/** @throws IdentityError `unreadable` where this user may not read it: that is no damage */
async function look(dataDir: string, name: string): Promise<Found> {
  const path = join(dataDir, name);
  try {
    return { name, identity: parse(await readFile(path, "utf8")), fault: undefined };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { name, identity: undefined, fault: undefined };
    if (code === "EACCES" || code === "EPERM") throw unreadable(path, error as Error);
    return { name, identity: undefined, fault: message };
  }
}

/** One flipped bit makes another id of an id. */
function checkOf({ gateway, bufferMade }: Identity): string {
  return crc32(`${gateway} ${bufferMade}`).toString(16).padStart(8, "0");
}

/** Files of earlier versions have no `check`. */
function parse(text: string): Identity {
  const content = JSON.parse(text) as Record<string, unknown> | null;
  const { gateway, buffer_made: bufferMade, check, ...other } = content ?? {};
  if (typeof gateway === "string" && isGatewayId(gateway) && typeof bufferMade === "boolean") {
    const identity = { gateway, bufferMade };
    // A name that is not ours may be ours with a flipped bit.
    const sound = Object.keys(other).length === 0;
    if (sound && (check === undefined || check === checkOf(identity))) return identity;
    throw new Error("it is not what was written");
  }
  throw new Error("it does not hold an identity");
}

const NO_ROOM: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT"]);

export function unwritable(dataDir: string, cause: NodeJS.ErrnoException): IdentityError {
  const remedy = NO_ROOM.has(cause.code)
    ? "The disk is full: make room"
    : "Give this user the right to it";
  return new IdentityError(
    "unwritable",
    `the data directory ${dataDir} cannot be written (${cause.message}). ${remedy}, or choose another with --data-dir`,
    { cause },
  );
}

function unreadable(path: string, cause: Error): IdentityError {
  return new IdentityError(
    "unreadable",
    `${path} cannot be read (${cause.message}). Give this user the right to it: it says which gateway the buffer beside it belongs to`,
    { cause },
  );
}
