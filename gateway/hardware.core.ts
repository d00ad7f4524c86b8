/**
 * Whether this is the hardware that the data was on before: what a card that was copied into a second board is told by. Pure.
 *
 * Evidence is what belongs to the board and not to the card. Each kind is kept for itself, as salted hashes, because not every
 * start can read every kind: what cannot be read is not known, and never different. Where kinds contradict each other it is
 * other hardware, for a wrong "different" costs a name, and a wrong "same" readings: two boards would count on one epoch.
 */
import { shortHash } from "../events/ids.ts";

/** Kinds of evidence, the one that is believed most first. `set` is what the configuration says. */
export const KINDS = [
  "set",
  "serial",
  "product_uuid",
  "board_serial",
  "product_serial",
  "mac",
] as const;
export type Kind = (typeof KINDS)[number];

/** Values by kind: as they were read, or as their hashes. A kind without a value is missing. */
export type Evidence = Readonly<Partial<Record<Kind, readonly string[]>>>;

export type Likeness = "same" | "different" | "unknown";

/** They come from one place, and one that agrees is enough: a new firmware makes a new UUID and leaves the serial. */
const FIRMWARE = ["product_uuid", "board_serial", "product_serial"] as const satisfies Kind[];
const NAME_BYTES = 10;
/** Of network interfaces; a board has few. */
const MOST_VALUES = 16;

export function isEmpty(evidence: Evidence): boolean {
  return KINDS.every((kind) => !evidence[kind]?.length);
}

/** @param known of the board that the data was on, as hashes with the same salt */
export function likeness(known: Evidence, now: Evidence): Likeness {
  const certain = certainly(known, now);
  if (certain !== "unknown") return certain;
  const kinds = [["set"], FIRMWARE, ["mac"]] as const;
  const verdicts = kinds.map((some) => verdictOf(known, now, some));
  if (verdicts.includes("different")) return "different";
  return verdicts.includes("same") ? "same" : "unknown";
}

/**
 * What nothing that a later look finds can change. A person who says that it is other hardware is believed; that it is the same
 * is said in a file, which is copied with the card. What is burnt into the processor decides both.
 */
export function certainly(known: Evidence, now: Evidence): Likeness {
  if (verdictOf(known, now, ["set"]) === "different") return "different";
  return verdictOf(known, now, ["serial"]);
}

function verdictOf(known: Evidence, now: Evidence, kinds: readonly Kind[]): Likeness {
  let verdict: Likeness = "unknown";
  for (const kind of kinds) {
    const [before, after] = [known[kind] ?? [], now[kind] ?? []];
    if (before.length === 0 || after.length === 0) continue;
    if (after.some((value) => before.includes(value))) return "same";
    verdict = "different";
  }
  return verdict;
}

/** What is known of a board after another look at it. What was read last counts, but a network card may be out for a while. */
export function together(known: Evidence, now: Evidence): Evidence {
  const found: Partial<Record<Kind, readonly string[]>> = { ...known };
  for (const kind of KINDS) {
    const values = now[kind];
    if (!values?.length) continue;
    found[kind] =
      kind === "mac"
        ? [...new Set([...values, ...(known.mac ?? [])])].slice(0, MOST_VALUES)
        : values;
  }
  return found;
}

/**
 * The short name of a board: the same each time that the same evidence is looked at with the same salt.
 * @param evidence hashed
 */
export function boardName(evidence: Evidence, salt: string): string {
  const hashes = KINDS.flatMap((kind) => evidence[kind]?.slice(0, 1) ?? []);
  // Of every kind, for any one of them may be the same on two boards.
  const mixed = Buffer.alloc(NAME_BYTES);
  for (const hash of hashes.length > 0 ? hashes : [salt]) {
    const bytes = Buffer.from(hash, "hex");
    for (let i = 0; i < NAME_BYTES; i += 1) mixed[i] = (mixed[i] ?? 0) ^ (bytes[i] ?? 0);
  }
  return shortHash(mixed);
}

/** What firmware says that was never filled in. */
const FILLERS =
  /^(|none|null|n\/a|na|unknown|undefined|default( string)?|not (specified|available|applicable|present|settable)|to be filled.*|system serial number|base ?board serial number|serial number|chassis serial number|o\.?e\.?m\.?|oem.*|123456789.*|0123456789.*|invalid|empty|x+|\.+|-+)$/i;
/** In thousands of boards. */
const KNOWN_FILLERS: ReadonlySet<string> = new Set(["03000200040005000006000700080009"]);
const LEAST_LETTERS = 4;

/** @returns a value in one spelling; undefined where it says nothing of this board */
export function meaningful(value: string): string | undefined {
  const text = value.replaceAll("\0", "").trim().toLowerCase();
  if (FILLERS.test(text)) return undefined;
  const bare = text.replaceAll(/[^0-9a-z]/g, "");
  if (bare.length < LEAST_LETTERS || KNOWN_FILLERS.has(bare)) return undefined;
  // All zeros, all Fs.
  return new Set(bare).size < 2 ? undefined : text;
}

/** @returns undefined where it was not burnt into a card: zero, a group's, or given by software */
export function burntIn(mac: string): string | undefined {
  const text = mac.trim().toLowerCase();
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text) || text === "00:00:00:00:00:00")
    return undefined;
  return (Number.parseInt(text.slice(0, 2), 16) & 3) === 0 ? text : undefined;
}
