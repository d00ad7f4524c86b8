/**
 * The contract in CDDL (RFC 8610), made from the schemas: for whoever checks or generates code with it, in any language.
 *
 * It keeps to what the validators at hand agree on: no rule has a name of the standard prelude (`time` is a tagged
 * number there), names of members are quoted (bare ones are taken for rules of that name), `int / float` stands in the place
 * of `number`, keys of open maps have no control operator, and lengths are rules of their own.
 */
import { MAX_NAME_LENGTH } from "./limits.ts";
import type { EventType } from "./schema.ts";
import { known, type SchemaNode, schemaNode, shortName } from "./schema-node.ts";

/** UTF-8 of a UTF-16 code unit: three bytes at most, for a pair of them is four. */
const MAX_BYTES_PER_UNIT = 3;

const INTRODUCTION = `; Tidegate's events, version 1: the values of the records, in CBOR (RFC 8949), described in CDDL (RFC 8610).
; Made from events/schema.ts by npm run contract; not to be changed by hand.
;
; Which type a value is of stands in the record's header ce_type (CloudEvents 1.0, Kafka binary mode): tidegate.<rule>.
; Times are milliseconds since 1970-01-01T00:00:00Z, durations milliseconds. Numbers are finite.
; Within version 1 a type only gains optional members; readers ignore members that they do not know.
`;

/** Rules that the events share, in the order in which they are written. */
interface Shared {
  readonly rules: Map<string, string>;
}

/** One file for these types. The first rule, which validators take as the root, is any of them. */
export function cddlOf(types: readonly EventType[]): string {
  const shared: Shared = { rules: new Map() };
  const events = types.map((type) => {
    const node = schemaNode(type);
    const rule = `${shortName(type)} = ${typeOf(node, shared, "")}`;
    return `${comment(`${type}: ${node.description ?? ""}`, "")}${rule}\n`;
  });
  const names = types.map(shortName);
  const root = names.length > 1 ? [`event = ${names.join(" / ")}\n`] : [];
  return [INTRODUCTION, ...root, ...events, ...sharedRules(shared)].join("\n");
}

function sharedRules({ rules }: Shared): string[] {
  return rules.size === 0 ? [] : [[...rules.values()].join("")];
}

function typeOf(node: SchemaNode, shared: Shared, indent: string): string {
  known(node);
  if (node.bytes) return "bstr";
  if (node.enum) return node.enum.map((word) => JSON.stringify(word)).join(" / ");
  if (node.anyOf) return node.anyOf.map((one) => typeOf(one, shared, indent)).join(" / ");
  switch (node.type) {
    case "boolean":
      return "bool";
    case "number":
      return rule(shared, "num", "num = int / float\n");
    case "integer":
      return integer(node.minimum, shared);
    case "string":
      return text(node, shared);
    case "array":
      return arrayOf(node, shared, indent);
    case "object":
      return node.properties ? map(node, shared, indent) : namedValues(node, shared, indent);
    default:
      throw new Error(`no CDDL for ${JSON.stringify(node)}`);
  }
}

function rule({ rules }: Shared, name: string, words: string): string {
  rules.set(name, words);
  return name;
}

function integer(minimum: number | undefined, shared: Shared): string {
  const why = "; Whole numbers from 2^32 on come as floats without a fraction.\n";
  if (minimum === 0) return rule(shared, "count", `${why}count = uint / float64\n`);
  if (minimum === 1) return rule(shared, "positive", `${why}positive = uint .ge 1 / float64\n`);
  throw new Error(`no CDDL for whole numbers from ${minimum}`);
}

function text({ minLength = 0, maxLength }: SchemaNode, shared: Shared): string {
  if (maxLength === undefined && minLength === 0) return "tstr";
  if (maxLength === undefined) throw new Error("no CDDL for texts with a least length alone");
  const isName = minLength === 1 && maxLength === MAX_NAME_LENGTH;
  const name = isName ? "name" : `text-${minLength}-${maxLength}`;
  const why = `; ${minLength} to ${maxLength} UTF-16 code units; .size counts bytes.\n`;
  const size = `(${minLength}..${maxLength * MAX_BYTES_PER_UNIT})`;
  return rule(shared, name, `${why}${name} = tstr .size ${size}\n`);
}

function arrayOf({ items }: SchemaNode, shared: Shared, indent: string): string {
  if (items === undefined) throw new Error("no CDDL for an array of anything");
  if ("length" in items) {
    return `[${items.map((one) => typeOf(one, shared, indent)).join(", ")}]`;
  }
  return `[* ${typeOf(items as SchemaNode, shared, indent)}]`;
}

function map({ properties = {}, required = [] }: SchemaNode, shared: Shared, indent: string) {
  const inner = `${indent}  `;
  const members = Object.entries(properties).map(([name, node]) => {
    const optional = required.includes(name) ? "" : "? ";
    const meanings = Object.entries(node["x-meanings"] ?? {}).map(
      ([word, meaning]) => `${JSON.stringify(word)}: ${meaning}`,
    );
    const words = [node.description, ...meanings].filter((line) => line !== undefined);
    const comments = words.map((line) => comment(line, inner)).join("");
    return `${comments}${inner}${optional}"${name}": ${typeOf(node, shared, inner)},\n`;
  });
  return `{\n${members.join("")}${inner}* any => any,\n${indent}}`;
}

/** A map whose keys are names. */
function namedValues(node: SchemaNode, shared: Shared, indent: string): string {
  const { additionalProperties: value, minProperties = 0, maxProperties } = node;
  if (value === undefined) throw new Error("no CDDL for a map of anything");
  const inner = `${indent}  `;
  const times =
    minProperties === 0 && maxProperties === undefined
      ? "*"
      : `${minProperties}*${maxProperties ?? ""}`;
  const names = node["x-names"];
  const limit = names
    ? comment(`Names: ${names.minLength} to ${names.maxLength} UTF-16 code units.`, inner)
    : "";
  return `{\n${limit}${inner}${times} tstr => ${typeOf(value, shared, inner)},\n${indent}}`;
}

const WIDTH = 120;

function comment(words: string, indent: string): string {
  const lines = [""];
  for (const word of words.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (indent.length + line.length + word.length + 3 <= WIDTH)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${indent}; ${line}\n`).join("");
}
