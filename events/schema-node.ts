/**
 * The schemas of schema.ts as trees, for what is made from them: the few keywords that they use, and no others. Whoever walks
 * one refuses what it does not know, so that a schema cannot gain a meaning that the published contract lacks.
 */
import { EVENT_SCHEMAS, type EventType } from "./schema.ts";

export interface SchemaNode {
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  /** What is promised of the names in a map; told, and not checked by the decoder. */
  readonly "x-names"?: { readonly minLength: number; readonly maxLength: number };
  /** One for all, or one for each place. */
  readonly items?: SchemaNode | readonly SchemaNode[];
  readonly additionalItems?: false;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly enum?: readonly string[];
  readonly "x-meanings"?: Readonly<Record<string, string>>;
  readonly anyOf?: readonly SchemaNode[];
  /** A byte string. */
  readonly bytes?: true;
}

const KNOWN: ReadonlySet<string> = new Set([
  ...["type", "description", "properties", "required", "additionalProperties", "minProperties"],
  ...["maxProperties", "x-names", "items", "additionalItems", "minItems", "minLength", "maxLength"],
  ...["minimum", "enum", "x-meanings", "anyOf", "bytes"],
]);

/** @throws Error where the node says something that nobody here understands */
export function known(node: SchemaNode): SchemaNode {
  const other = Object.keys(node).filter((keyword) => !KNOWN.has(keyword));
  if (other.length > 0)
    throw new Error(`unknown to the contract's generators: ${other.join(", ")}`);
  return node;
}

export function schemaNode(type: EventType): SchemaNode {
  return EVENT_SCHEMAS[type] as SchemaNode;
}

/** The event's name within the contract: its `ce_type` without `tidegate.`. */
export function shortName(type: EventType): string {
  return type.slice("tidegate.".length);
}
