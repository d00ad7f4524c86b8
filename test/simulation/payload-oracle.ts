/**
 * What must hold of large payloads, whatever happened, from outside: what cameras had acknowledged, what the journal says, what
 * the store has. It knows nothing of how the gateway does it.
 */
import { createHash } from "node:crypto";
import type { LargePayload, PayloadLost, PayloadStored } from "../../events/schema.ts";

export interface Told {
  readonly payloads: readonly LargePayload[];
  readonly stored: readonly PayloadStored[];
  readonly lost: readonly PayloadLost[];
  /** Declared losses of the journal itself. */
  readonly losses: number;
}

export interface Known {
  /** SHA-256 of every picture that was acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  readonly told: Told;
  readonly objects: ReadonlyMap<string, Buffer>;
  /** Payloads whose file somebody has harmed: id → SHA-256. */
  readonly harmed: ReadonlyMap<string, string>;
  /** Records of the journal were damaged: what it lacks it has declared. */
  readonly decayed: boolean;
  /** The oldest give way when it is full. */
  readonly givesWay: boolean;
  /** SHA-256; another one in tests of the judge. */
  readonly digest?: (bytes: Buffer) => string;
}

export function judge(known: Known): string[] {
  const { acknowledged, told, objects, harmed, decayed, givesWay } = known;
  const problems: string[] = [];
  const inStore = new Map(
    [...objects].map(([key, bytes]) => [key, (known.digest ?? digest)(bytes)]),
  );
  const whole = new Set(inStore.values());
  const harmedDigests = new Set(harmed.values());
  const storedIds = new Set(told.stored.map(({ payload }) => payload));
  const lostIds = new Set(told.lost.map(({ payload }) => payload));
  const lostDigests = new Set(told.lost.map(({ sha256 }) => sha256));
  const toldDigests = new Set([...told.payloads, ...told.stored].map(({ sha256 }) => sha256));

  /** Sent again as another message: one of the two may be lost. */
  const toldTwice = repeated(told.payloads.map(({ sha256 }) => sha256));

  for (const sha256 of acknowledged) {
    // The file outlives a damaged journal; only what declared it lost may itself be among what the journal declares lost.
    const mayBeLost = givesWay || harmedDigests.has(sha256);
    const declared = lostDigests.has(sha256) || (decayed && told.losses > 0 && mayBeLost);
    if (!whole.has(sha256) && !declared) problems.push(`acknowledged, and nowhere: ${sha256}`);
    if (!toldDigests.has(sha256) && !lostDigests.has(sha256) && !decayed) {
      problems.push(`acknowledged, and not told of: ${sha256}`);
    }
  }
  for (const { payload, sha256, key } of told.stored) {
    if (inStore.get(key) !== sha256) problems.push(`told to be stored, and is not: ${payload}`);
  }
  for (const { payload } of told.payloads) {
    if (!storedIds.has(payload) && !lostIds.has(payload) && !decayed) {
      problems.push(`nobody says what became of it: ${payload}`);
    }
  }
  for (const { payload, reason, sha256 = "" } of told.lost) {
    if (whole.has(sha256) && reason === "damage" && !decayed && !toldTwice.has(sha256)) {
      problems.push(`declared lost, and is in the store: ${payload}`);
    }
    if (reason === "damage" && !harmed.has(payload) && !decayed) {
      problems.push(`declared damaged, and nobody has harmed it: ${payload}`);
    }
    if (reason === "full" && !givesWay) problems.push(`gave way where nothing may: ${payload}`);
    if (storedIds.has(payload) && !decayed) problems.push(`stored and lost: ${payload}`);
  }
  if (!decayed && storedIds.size < told.stored.length) problems.push("told to be stored twice");
  return problems;
}

function repeated(all: readonly string[]): ReadonlySet<string> {
  return new Set(all.filter((one, at) => all.indexOf(one) !== at));
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
