/**
 * The contract in JSON Schema (2020-12), made from the schemas: an event as JSON, which is how `tidegate tail`, the HTTP API and
 * most converters show it. JSON has no bytes; they stand in base 64.
 */
import type { EventType } from "./schema.ts";
import { known, type SchemaNode, schemaNode, shortName } from "./schema-node.ts";

/** Any JSON Schema, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export function jsonSchemaId(type: EventType): string {
  return `urn:tidegate:events:v1:${shortName(type)}`;
}

export function jsonSchemaOf(type: EventType): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: jsonSchemaId(type),
    title: type,
    ...schemaOf(schemaNode(type)),
  };
}

function schemaOf(node: SchemaNode): JsonSchema {
  const { bytes, properties, additionalProperties, items, additionalItems, anyOf, ...rest } =
    known(node);
  const { "x-names": names, ...plain } = rest;
  return {
    ...(bytes ? { type: "string", contentEncoding: "base64" } : {}),
    ...(plain.enum ? { type: "string" } : {}),
    ...plain,
    ...(anyOf ? { anyOf: anyOf.map(schemaOf) } : {}),
    ...(properties
      ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, one]) => [name, schemaOf(one)]),
          ),
        }
      : {}),
    ...(additionalProperties ? { additionalProperties: schemaOf(additionalProperties) } : {}),
    ...(names ? { propertyNames: names } : {}),
    ...itemsOf(items),
  };
}

function itemsOf(items: SchemaNode["items"]): JsonSchema {
  if (items === undefined) return {};
  if (!("length" in items)) return { items: schemaOf(items as SchemaNode) };
  return { prefixItems: items.map(schemaOf), items: false, minItems: items.length };
}
