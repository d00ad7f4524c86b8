/**
 * Identity. A gateway id names one gateway; an epoch names one life of its buffer; a sequence counts the events
 * of one epoch from 1 without holes. (gateway, epoch, sequence) is unique for ever: every reading can be found,
 * missed or counted double by it, and by nothing else.
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

export type GatewayId = Branded<string, "GatewayId">;
export type Epoch = Branded<string, "Epoch">;

/** Letters, digits, `_`, `.` and `-`; starts with a letter or digit; at most 64 characters. */
export const GATEWAY_ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";
const gatewayIdPattern = new RegExp(GATEWAY_ID_PATTERN);
const epochPattern = /^[0-9a-z]{10}$/;

/** Crockford's base 32 in lower case: no letter that reads like a digit. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

function letters(random: Uint8Array): string {
  let text = "";
  for (const byte of random) text += ALPHABET[byte & 31];
  return text;
}

/** @param random 8 random bytes; 40 bits of them are used. */
export function makeGatewayId(random: Uint8Array): GatewayId {
  return `gw-${letters(random.subarray(0, 8))}` as GatewayId;
}

/** @param random 10 random bytes; 50 bits of them are used. */
export function makeEpoch(random: Uint8Array): Epoch {
  return letters(random.subarray(0, 10)) as Epoch;
}

/** Ten letters of a hash: a short name of hardware. */
export function shortHash(digest: Uint8Array): string {
  return letters(digest.subarray(0, 10));
}

export function isGatewayId(text: string): text is GatewayId {
  return gatewayIdPattern.test(text);
}

export function isEpoch(text: string): text is Epoch {
  return epochPattern.test(text);
}

/** CloudEvents `id` of a journal event: `epoch-sequence`. */
export function eventId(epoch: Epoch, sequence: number): string {
  return `${epoch}-${sequence}`;
}

/** @returns undefined where the text is not an event id of ours. */
export function parseEventId(id: string): { epoch: Epoch; sequence: number } | undefined {
  const dash = id.indexOf("-");
  const epoch = id.slice(0, dash);
  const digits = id.slice(dash + 1);
  if (dash < 0 || !isEpoch(epoch) || !/^[1-9][0-9]{0,15}$/.test(digits)) return undefined;
  const sequence = Number(digits);
  return Number.isSafeInteger(sequence) ? { epoch, sequence } : undefined;
}

/** CloudEvents `source` of everything a gateway writes: `/gateways/<gateway id>`. */
export function gatewaySource(gateway: GatewayId): string {
  return `/gateways/${gateway}`;
}

/** @returns undefined where the source is not a gateway's. */
export function parseGatewaySource(source: string): GatewayId | undefined {
  const id = source.startsWith("/gateways/") ? source.slice("/gateways/".length) : "";
  return isGatewayId(id) ? id : undefined;
}

/**
 * A name as a part of a key. Names may hold any character (Sparkplug's metrics are called `Inputs/A`), so `/` and `%`
 * are written as in a URL: otherwise device `a/b` with metric `c` would be the same series as device `a` with `b/c`.
 */
function part(name: string): string {
  return name.includes("/") || name.includes("%")
    ? name.replaceAll("%", "%25").replaceAll("/", "%2F")
    : name;
}

/** A device is scoped to its gateway: `gateway/device`. */
export function deviceKey(gateway: string, device: string): string {
  return `${gateway}/${part(device)}`;
}

/** A series is one metric of one device of one gateway: `gateway/device/metric`. */
export function seriesKey(gateway: string, device: string, metric: string): string {
  return `${gateway}/${part(device)}/${part(metric)}`;
}

/** The names that a device's or a series' key was made of. */
export function keyParts(key: string): string[] {
  return key.split("/").map((text) => text.replaceAll("%2F", "/").replaceAll("%25", "%"));
}
