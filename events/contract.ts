/**
 * The contract for other consumers as files: CDDL and JSON Schema for each event, and which events stand in which topic.
 * `npm run contract` writes them, the package carries them, the dashboard serves them, and a test says where they are
 * no longer what the schemas say.
 */
import { cddlOf } from "./cddl.ts";
import type { Contract } from "./compatibility.core.ts";
import { jsonSchemaOf } from "./json-schema.ts";
import { EVENT_SCHEMAS, type EventType } from "./schema.ts";
import { shortName } from "./schema-node.ts";
import { TOPIC_CONTRACTS, type TopicNames, topicNames } from "./topics.ts";

export const EVENT_TYPES = Object.keys(EVENT_SCHEMAS) as readonly EventType[];

/** In place of the namespace, which is a setting. */
const NAMESPACE = "<namespace>";

/** @param version of the program whose contract it is */
export function contractOf(version: string): Contract {
  const topics = Object.entries(TOPIC_CONTRACTS).map(
    ([topic, contract]) => [topicNames(NAMESPACE)[topic as keyof TopicNames], contract] as const,
  );
  return {
    version,
    topics: Object.fromEntries(topics),
    types: Object.fromEntries(EVENT_TYPES.map((type) => [type, jsonSchemaOf(type)])),
  };
}

export interface ContractFile {
  /** Within the contract's folder. */
  readonly name: string;
  readonly mediaType: string;
  readonly text: string;
}

/** CDDL has no media type of its own. */
const CDDL = "text/plain; charset=utf-8";

/** Everything that is published, the whole CDDL first. */
export function contractFiles(): readonly ContractFile[] {
  return [
    { name: "events.cddl", mediaType: CDDL, text: cddlOf(EVENT_TYPES) },
    { name: "topics.json", mediaType: "application/json", text: json(contractOf("").topics) },
    ...EVENT_TYPES.flatMap((type): ContractFile[] => [
      { name: `${shortName(type)}.cddl`, mediaType: CDDL, text: cddlOf([type]) },
      {
        name: `${shortName(type)}.schema.json`,
        mediaType: "application/schema+json",
        text: json(jsonSchemaOf(type)),
      },
    ]),
  ];
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
