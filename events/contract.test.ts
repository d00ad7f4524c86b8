/** The published contract: its files are what the schemas say, and what is encoded is what they describe. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { pythonWith } from "../test/python.ts";
import { decodeCbor, encodeCbor, encodeEvent } from "./codec.ts";
import { contractFiles, EVENT_TYPES } from "./contract.ts";
import { jsonSchemaOf } from "./json-schema.ts";
import { EVENT_SCHEMAS, type EventType, JOURNAL_TYPES } from "./schema.ts";
import { known, shortName } from "./schema-node.ts";
import { asJson, FIXTURES } from "./test-support/fixtures.ts";
import { ALL_SAMPLES, SAMPLES } from "./test-support/samples.ts";
import { TOPIC_CONTRACTS } from "./topics.ts";

const folder = join(import.meta.dirname, "contract/v1");

/** Everything that there is in bytes: samples as they are encoded now, and the bytes that were kept. */
const ENCODED: readonly (readonly [type: EventType, name: string, bytes: Uint8Array])[] = [
  ...ALL_SAMPLES.map(([type, which, event]) => [type, which, encodeEvent(type, event)] as const),
  ...FIXTURES.map(({ type, name, bytes }) => [type, name, bytes] as const),
];

/** What no schema may let pass: [type, changed members]. */
const WRONG: readonly (readonly [EventType, object])[] = [
  ["tidegate.reading", { device: true }],
  ["tidegate.reading", { device: "" }],
  ["tidegate.reading", { metrics: {} }],
  ["tidegate.reading", { metrics: { a: "x".repeat(3073) } }],
  ["tidegate.reading", { clock: "guessed" }],
  ["tidegate.reading", { time: "now" }],
  ["tidegate.loss", { from: 0 }],
  ["tidegate.loss", { reason: "bored" }],
  ["tidegate.epoch", { previous: { epoch: "x" } }],
  ["tidegate.gateway-status", { clients: -1 }],
  ["tidegate.gateway-status", { buffer: { state: "open" } }],
  ["tidegate.device", { metrics: { a: { value: 1 } } }],
  ["tidegate.ledger", { received: [[1]] }],
  ["tidegate.ledger", { received: [[1, 2, 3]] }],
  ["tidegate.alert", { historical: 0 }],
  ["tidegate.device-reading", { sequence: 0 }],
  ["tidegate.tick", { time: "now" }],
];
const wrong = ([type, more]: (typeof WRONG)[number]) => ({ ...SAMPLES[type].full, ...more });

test("the files are what the schemas say (npm run contract writes them)", () => {
  const kept = readdirSync(folder).filter((name) => name !== "released");
  expect(kept.toSorted()).toEqual(
    contractFiles()
      .map(({ name }) => name)
      .toSorted(),
  );
  for (const { name, text } of contractFiles()) {
    expect(readFileSync(join(folder, name), "utf8"), name).toBe(text);
  }
});

test("every type stands in a topic, and the journal's are those of the events topic", () => {
  const inTopics = Object.values(TOPIC_CONTRACTS).flatMap(({ types }) => types);
  expect([...new Set(inTopics)].toSorted()).toEqual([...EVENT_TYPES].toSorted());
  expect(TOPIC_CONTRACTS.events.types).toEqual([...JOURNAL_TYPES, "tidegate.tick"]);
});

test("a schema that says more than the generators know is refused", () => {
  expect(() => known({ type: "string", pattern: "^a" } as never)).toThrow("pattern");
  for (const type of EVENT_TYPES) expect(EVENT_SCHEMAS[type], type).toHaveProperty("description");
});

describe("JSON Schema", () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false });
  ajv.addVocabulary(["x-meanings"]);
  const validators = new Map(
    EVENT_TYPES.map((type) => [type, ajv.compile(jsonSchemaOf(type))] as const),
  );
  test.each(ENCODED)("%s (%s) as JSON fits", (type, _, bytes) => {
    const validate = validators.get(type);
    validate?.(JSON.parse(JSON.stringify(asJson(decodeCbor(bytes)))));
    expect(validate?.errors ?? []).toEqual([]);
  });
  test.each(WRONG)("%s %j is refused", (type, more) => {
    expect(validators.get(type)?.(asJson(wrong([type, more])))).toBe(false);
  });
});

/** Judges with the Rust `cddl` library. */
const python = await pythonWith(["pycddl==0.6.4"]);
if (!python.available) {
  process.stderr.write(`skipped: the CDDL in the Rust library, because ${python.reason}\n`);
}

describe.skipIf(!python.available)("CDDL, as the Rust library `cddl` reads it", () => {
  async function judged(asked: readonly { cddl: string; bytes: Uint8Array }[]) {
    const lines = asked.map(({ cddl, bytes }) => {
      const hex = Buffer.from(bytes).toString("hex");
      return `${JSON.stringify({ cddl: join(folder, cddl), hex })}\n`;
    });
    const script = join(import.meta.dirname, "test-support/cddl-validator.py");
    const command = python.available ? python.command : "";
    const output = await new Promise<string>((resolve, reject) => {
      const child = execFile(command, [script], (error, out) =>
        error ? reject(error) : resolve(out),
      );
      child.stdin?.end(lines.join(""));
    });
    return output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as string | null);
  }

  // It panics at the choice of all types in events.cddl; that one is held against the bytes in cddl.test.ts.
  test("takes everything that is encoded", async () => {
    const faults = await judged(
      ENCODED.map(([type, , bytes]) => ({ cddl: `${shortName(type)}.cddl`, bytes })),
    );
    expect(faults).toHaveLength(ENCODED.length);
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });

  test("refuses what is wrong", async () => {
    const faults = await judged(
      WRONG.map((one) => ({ cddl: `${shortName(one[0])}.cddl`, bytes: encodeCbor(wrong(one)) })),
    );
    const passed = WRONG.filter((_, i) => faults[i] === null);
    expect(passed).toEqual([]);
  });
});
