/**
 * Holds the contract as it is against one that was released: what would break a consumer that was written for it, or a reader
 * of bytes that were kept. Pure.
 *
 * Both directions count, because consumers are not upgraded together with gateways and journals are kept for years: a
 * narrowed schema no longer reads old bytes, and a widened one writes what old readers refuse. So within a version a type may
 * gain optional members, and the contract may gain types and topics; nothing else. Descriptions may be put better; the
 * meaning of a word that stands in the data may not (that is compared, word by word).
 */
import type { JsonSchema } from "./json-schema.ts";

export interface Contract {
  readonly version: string;
  readonly topics: Readonly<
    Record<string, { readonly key: string; readonly types: readonly string[] }>
  >;
  /** `ce_type` → the value's JSON Schema. */
  readonly types: Readonly<Record<string, JsonSchema>>;
}

export const BREAKING_KINDS = [
  "topic_removed",
  "key_changed",
  "type_removed",
  "member_removed",
  /** A required member that there was not, or that was optional. */
  "required_added",
  /** A required member that may now be left out. */
  "required_dropped",
  "type_changed",
  "narrowed",
  "widened",
  "word_removed",
  "word_added",
  "meaning_changed",
] as const;
export type BreakingKind = (typeof BREAKING_KINDS)[number];

export interface Breaking {
  readonly kind: BreakingKind;
  /** `tidegate.reading.metrics`, or a topic's name. */
  readonly at: string;
  readonly message: string;
}

/** @returns what breaks; empty where everything that was released still holds */
export function breakingChanges(released: Contract, current: Contract): Breaking[] {
  const found: Breaking[] = [];
  for (const [topic, before] of Object.entries(released.topics)) {
    const now = current.topics[topic];
    if (!now) {
      found.push({ kind: "topic_removed", at: topic, message: "the topic is gone" });
      continue;
    }
    if (now.key !== before.key) {
      const message = `the key was ${before.key} and is ${now.key}`;
      found.push({ kind: "key_changed", at: topic, message });
    }
    for (const type of before.types.filter((one) => !now.types.includes(one))) {
      found.push({ kind: "type_removed", at: topic, message: `${type} no longer stands in it` });
    }
  }
  for (const [type, before] of Object.entries(released.types)) {
    const now = current.types[type];
    if (now) compare(before as Node, now as Node, type, found);
    else found.push({ kind: "type_removed", at: type, message: "the type is gone" });
  }
  return found;
}

interface Node {
  readonly [keyword: string]: unknown;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly "x-meanings"?: Readonly<Record<string, string>>;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Node;
  readonly propertyNames?: Node;
  readonly items?: Node | false;
  readonly prefixItems?: readonly Node[];
  readonly anyOf?: readonly Node[];
}

/** Keywords that only explain, and those that compare() looks into itself. */
const LOOKED_INTO: ReadonlySet<string> = new Set([
  ...["$schema", "$id", "title", "description"],
  ...["type", "enum", "x-meanings", "properties", "required", "additionalProperties"],
  ...["propertyNames", "items", "prefixItems", "anyOf"],
]);
const LEAST: ReadonlySet<string> = new Set(["minimum", "minLength", "minItems", "minProperties"]);
const MOST: ReadonlySet<string> = new Set(["maximum", "maxLength", "maxItems", "maxProperties"]);

function compare(before: Node, now: Node, at: string, found: Breaking[]): void {
  const tell = (kind: BreakingKind, message: string) => found.push({ kind, at, message });
  if (before.type !== now.type) {
    const message = `was ${before.type ?? "a choice"} and is ${now.type ?? "a choice"}`;
    if (before.type === "number" && now.type === "integer") tell("narrowed", message);
    else if (before.type === "integer" && now.type === "number") tell("widened", message);
    else tell("type_changed", message);
    return;
  }
  words(before, now, tell);
  limits(before, now, tell);
  members(before, now, at, found);
  inside(before.additionalProperties, now.additionalProperties, `${at}.*`, found);
  inside(before.propertyNames, now.propertyNames, `names of ${at}`, found);
  inside(before.items || undefined, now.items || undefined, `${at}[]`, found);
  const places = before.prefixItems ?? [];
  if (places.length !== (now.prefixItems ?? []).length) {
    tell("type_changed", `had ${places.length} places and has ${(now.prefixItems ?? []).length}`);
  } else {
    for (const [i, one] of places.entries()) {
      compare(one, now.prefixItems?.[i] as Node, `${at}[${i}]`, found);
    }
  }
  choices(before.anyOf ?? [], now.anyOf ?? [], at, found);
}

type Tell = (kind: BreakingKind, message: string) => void;

function words(before: Node, now: Node, tell: Tell): void {
  if (!before.enum && !now.enum) return;
  const old = before.enum ?? [];
  const own = now.enum ?? [];
  if (old.length === 0 || own.length === 0) {
    tell(own.length > 0 ? "narrowed" : "widened", "a text and one of some words are not the same");
    return;
  }
  for (const word of old) {
    if (!own.includes(word)) tell("word_removed", `"${word}" is no longer one of its words`);
    else if (before["x-meanings"]?.[word] !== now["x-meanings"]?.[word]) {
      const [was, is] = [before["x-meanings"]?.[word], now["x-meanings"]?.[word]];
      tell("meaning_changed", `"${word}" meant: ${was}; and means: ${is}`);
    }
  }
  // Whoever was written for the words that there were does not know what to do with another one.
  for (const word of own.filter((one) => !old.includes(one))) {
    tell("word_added", `"${word}" was none of its words`);
  }
}

function limits(before: Node, now: Node, tell: Tell): void {
  const keywords = new Set([...Object.keys(before), ...Object.keys(now)]);
  for (const keyword of keywords) {
    const [old, own] = [before[keyword], now[keyword]];
    if (LOOKED_INTO.has(keyword) || told(old) === told(own)) continue;
    const message = `${keyword} was ${told(old)} and is ${told(own)}`;
    const none = LEAST.has(keyword) ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    const grew = ((own as number) ?? none) > ((old as number) ?? none);
    if (LEAST.has(keyword)) tell(grew ? "narrowed" : "widened", message);
    else if (MOST.has(keyword)) tell(grew ? "widened" : "narrowed", message);
    else tell("type_changed", message);
  }
}

const told = (value: unknown) => (value === undefined ? "not there" : JSON.stringify(value));

function members(before: Node, now: Node, at: string, found: Breaking[]): void {
  const [old, own] = [before.properties ?? {}, now.properties ?? {}];
  const was = (name: string) => before.required?.includes(name) === true;
  const is = (name: string) => now.required?.includes(name) === true;
  for (const [name, node] of Object.entries(old)) {
    const place = `${at}.${name}`;
    const next = own[name];
    if (!next) {
      found.push({ kind: "member_removed", at: place, message: "the member is gone" });
      continue;
    }
    if (is(name) && !was(name)) {
      found.push({ kind: "required_added", at: place, message: "could be left out" });
    }
    if (was(name) && !is(name)) {
      found.push({ kind: "required_dropped", at: place, message: "was always there" });
    }
    compare(node, next, place, found);
  }
  for (const name of Object.keys(own)) {
    if (name in old || !is(name)) continue;
    const message = "a new member that must be there; bytes that were kept do not have it";
    found.push({ kind: "required_added", at: `${at}.${name}`, message });
  }
}

function inside(
  before: Node | undefined,
  now: Node | undefined,
  at: string,
  found: Breaking[],
): void {
  if (before && now) compare(before, now, at, found);
  else if (before) found.push({ kind: "widened", at, message: "is no longer described" });
  else if (now) found.push({ kind: "narrowed", at, message: "was not described" });
}

/** Choices are told apart by their type. */
function choices(
  before: readonly Node[],
  now: readonly Node[],
  at: string,
  found: Breaking[],
): void {
  const of = (list: readonly Node[], type: string | undefined) =>
    list.find((one) => one.type === type);
  for (const one of before) {
    const same = of(now, one.type);
    if (same) compare(one, same, at, found);
    else found.push({ kind: "narrowed", at, message: `may no longer be ${one.type}` });
  }
  for (const { type } of now) {
    if (!of(before, type)) found.push({ kind: "widened", at, message: `may now be ${type}` });
  }
}
