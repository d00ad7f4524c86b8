/**
 * Who this gateway is, kept in its data directory beside the buffer.
 *
 * The file also remembers that the buffer was made: a buffer that is missing after that is a loss to be told, never a
 * reason for a new empty one under sequences that were used before.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
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

/**
 * Reads the identity, or makes it at the first start.
 * @param wanted the id from the configuration, where it sets one
 */
export async function loadIdentity(dataDir: string, wanted?: string): Promise<Identity> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    throw unwritable(dataDir, error as Error);
  }
  const path = join(dataDir, "gateway.json");
  let text: string | undefined;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(path, error as Error);
  }
  if (text === undefined) {
    const gateway = wanted ?? makeGatewayId(randomBytes(8));
    if (!isGatewayId(gateway)) throw new Error(`not a gateway id: ${gateway}`);
    const made = { gateway, bufferMade: false };
    await saveIdentity(dataDir, made);
    return made;
  }
  const identity = parse(path, text);
  if (wanted !== undefined && wanted !== identity.gateway) {
    throw new IdentityError(
      "other_gateway",
      `${dataDir} belongs to gateway ${identity.gateway}, the configuration says ${wanted}: its buffered readings would change their owner. Use another --data-dir for ${wanted}, or leave gateway_id out`,
    );
  }
  return identity;
}

/** Whole or not at all, and on disk before it resolves. */
export async function saveIdentity(dataDir: string, identity: Identity): Promise<void> {
  const path = join(dataDir, "gateway.json");
  try {
    const file = await open(`${path}.new`, "w");
    try {
      const content = { gateway: identity.gateway, buffer_made: identity.bufferMade };
      await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    const directory = await open(dirname(path), "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw unwritable(dataDir, error as Error);
  }
}

function parse(path: string, text: string): Identity {
  try {
    const { gateway, buffer_made } = JSON.parse(text) as Record<string, unknown>;
    if (typeof gateway === "string" && isGatewayId(gateway) && typeof buffer_made === "boolean") {
      return { gateway, bufferMade: buffer_made };
    }
    throw new Error("it does not hold an identity");
  } catch (error) {
    throw unreadable(path, error as Error);
  }
}

function unwritable(dataDir: string, cause: Error): IdentityError {
  return new IdentityError(
    "unwritable",
    `the data directory ${dataDir} cannot be written (${cause.message}). Give this user the right to it, or choose another with --data-dir`,
    { cause },
  );
}

function unreadable(path: string, cause: Error): IdentityError {
  return new IdentityError(
    "unreadable",
    `${path} cannot be read (${cause.message}). Restore it: it says which gateway the buffer beside it belongs to`,
    { cause },
  );
}
