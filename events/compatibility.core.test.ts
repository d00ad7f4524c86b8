/** No change since any release breaks a consumer; and the check would find one that does. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { decodeCbor, encodeEvent } from "./codec.ts";
import {
  BREAKING_KINDS,
  type BreakingKind,
  breakingChanges,
  type Contract,
} from "./compatibility.core.ts";
import { contractOf } from "./contract.ts";
import type { EventType } from "./schema.ts";
import { asJson, FIXTURES } from "./test-support/fixtures.ts";
import { ALL_SAMPLES } from "./test-support/samples.ts";

const folder = join(import.meta.dirname, "contract/v1/released");
const RELEASED = readdirSync(folder).map(
  (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Contract,
);
const CURRENT = contractOf("now");

test("there is a release to hold the contract against", () => {
  expect(RELEASED.length).toBeGreaterThan(0);
});

describe.each(RELEASED)("the contract of $version", (released) => {
  test("nothing that it promised has changed", () => {
    expect(breakingChanges(released, CURRENT)).toEqual([]);
  });

  const ajv = new Ajv2020({ strict: false });
  const validate = (type: string, value: unknown) => {
    const check = ajv.compile({ ...released.types[type], $id: `${type}-${Math.random()}` });
    check(JSON.parse(JSON.stringify(asJson(value))));
    return check.errors ?? [];
  };
  test("its readers take what is written now", () => {
    for (const [type, , event] of ALL_SAMPLES) {
      if (released.types[type]) {
        expect(validate(type, decodeCbor(encodeEvent(type, event))), type).toEqual([]);
      }
    }
  });

  test("bytes of each of its types are kept", () => {
    const kept = new Set<string>(FIXTURES.map(({ type }) => type));
    expect(Object.keys(released.types).filter((type) => !kept.has(type))).toEqual([]);
  });
});

/** The contract with something changed. */
function changed(type: EventType, change: (schema: never) => void): Contract {
  const types = JSON.parse(JSON.stringify(CURRENT.types)) as Record<string, unknown>;
  change(types[type] as never);
  return { ...CURRENT, types } as Contract;
}
type Loose = {
  required: string[];
  // biome-ignore lint/suspicious/noExplicitAny: any part of a schema is changed here, wrongly on purpose.
  properties: Record<string, any>;
};

const BREAKING: readonly (readonly [
  string,
  BreakingKind,
  string,
  (current: Contract) => Contract,
])[] = [
  [
    "a member is gone",
    "member_removed",
    "tidegate.reading.time",
    () => changed("tidegate.reading", ({ properties }: Loose) => delete properties.time),
  ],
  [
    "a member within a member is gone",
    "member_removed",
    "tidegate.gateway-status.buffer.lost.full",
    () =>
      changed(
        "tidegate.gateway-status",
        ({ properties }: Loose) => delete properties.buffer.properties.lost.properties.full,
      ),
  ],
  [
    "a new member must be there",
    "required_added",
    "tidegate.reading.unit",
    () =>
      changed("tidegate.reading", ({ properties, required }: Loose) => {
        properties.unit = { type: "string" };
        required.push("unit");
      }),
  ],
  [
    "a member must now be there",
    "required_added",
    "tidegate.reading.time",
    () => changed("tidegate.reading", ({ required }: Loose) => required.push("time")),
  ],
  [
    "a member may now be left out",
    "required_dropped",
    "tidegate.reading.boot",
    () =>
      changed("tidegate.reading", ({ required }: Loose) =>
        required.splice(required.indexOf("boot"), 1),
      ),
  ],
  [
    "a number is a text",
    "type_changed",
    "tidegate.tick.time",
    () =>
      changed("tidegate.tick", ({ properties }: Loose) => {
        properties.time = { type: "string" };
      }),
  ],
  [
    "bytes are a text",
    "type_changed",
    "tidegate.rejected-payload.payload",
    () =>
      changed(
        "tidegate.rejected-payload",
        ({ properties }: Loose) => delete properties.payload.contentEncoding,
      ),
  ],
  [
    "a number is whole",
    "narrowed",
    "tidegate.rollup.sum",
    () =>
      changed("tidegate.rollup", ({ properties }: Loose) => {
        properties.sum.type = "integer";
      }),
  ],
  [
    "a whole number has fractions",
    "widened",
    "tidegate.rollup.count",
    () =>
      changed("tidegate.rollup", ({ properties }: Loose) => {
        properties.count.type = "number";
      }),
  ],
  [
    "names are shorter",
    "narrowed",
    "tidegate.reading.device",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) => {
        properties.device.maxLength = 64;
      }),
  ],
  [
    "a text is bounded",
    "narrowed",
    "tidegate.reading.boot",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) => {
        properties.boot.maxLength = 64;
      }),
  ],
  [
    "names of metrics are longer",
    "widened",
    "names of tidegate.reading.metrics",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) => {
        properties.metrics.propertyNames.maxLength = 256;
      }),
  ],
  [
    "a count may be negative",
    "widened",
    "tidegate.device.readings",
    () => changed("tidegate.device", ({ properties }: Loose) => delete properties.readings.minimum),
  ],
  [
    "a value may no longer be a text",
    "narrowed",
    "tidegate.reading.metrics.*",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) =>
        properties.metrics.additionalProperties.anyOf.pop(),
      ),
  ],
  [
    "a value may be a list",
    "widened",
    "tidegate.reading.metrics.*",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) =>
        properties.metrics.additionalProperties.anyOf.push({ type: "array" }),
      ),
  ],
  [
    "a range has three places",
    "type_changed",
    "tidegate.ledger.missing[]",
    () =>
      changed("tidegate.ledger", ({ properties }: Loose) =>
        properties.missing.items.prefixItems.push({ type: "integer" }),
      ),
  ],
  [
    "a range begins at 0",
    "widened",
    "tidegate.ledger.missing[][0]",
    () =>
      changed("tidegate.ledger", ({ properties }: Loose) => {
        properties.missing.items.prefixItems[0].minimum = 0;
      }),
  ],
  [
    "a word is gone",
    "word_removed",
    "tidegate.alert.severity",
    () => changed("tidegate.alert", ({ properties }: Loose) => properties.severity.enum.pop()),
  ],
  [
    "a word is new",
    "word_added",
    "tidegate.alert.severity",
    () =>
      changed("tidegate.alert", ({ properties }: Loose) => properties.severity.enum.push("fatal")),
  ],
  [
    "a word means something else",
    "meaning_changed",
    "tidegate.reading.clock",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) => {
        properties.clock["x-meanings"].synced = "the cloud's clock was right";
      }),
  ],
  [
    "any text is one of some words",
    "narrowed",
    "tidegate.reading.boot",
    () =>
      changed("tidegate.reading", ({ properties }: Loose) => {
        properties.boot.enum = ["this", "that"];
      }),
  ],
  [
    "a type is gone",
    "type_removed",
    "tidegate.loss",
    (current) => {
      const { "tidegate.loss": _, ...types } = current.types;
      return { ...current, types };
    },
  ],
  [
    "a topic is gone",
    "topic_removed",
    "<namespace>.ledger.v1",
    (current) => {
      const { "<namespace>.ledger.v1": _, ...topics } = current.topics;
      return { ...current, topics };
    },
  ],
  [
    "a topic has another key",
    "key_changed",
    "<namespace>.events.v1",
    (current) => {
      const events = { key: "device", types: current.topics["<namespace>.events.v1"]?.types ?? [] };
      return { ...current, topics: { ...current.topics, "<namespace>.events.v1": events } };
    },
  ],
  [
    "a type moved to another topic",
    "type_removed",
    "<namespace>.events.v1",
    (current) => {
      const events = { ...current.topics["<namespace>.events.v1"], key: "gateway; of a tick none" };
      const types = (events.types ?? []).filter((type) => type !== "tidegate.clock");
      return {
        ...current,
        topics: { ...current.topics, "<namespace>.events.v1": { ...events, types } },
      };
    },
  ],
];

describe("planted changes that break consumers are found", () => {
  test.each(BREAKING)("%s: %s", (_, kind, at, plant) => {
    expect(breakingChanges(CURRENT, plant(CURRENT))).toMatchObject([{ kind, at }]);
  });
  test("of every kind", () => {
    expect([...new Set(BREAKING.map(([, kind]) => kind))].toSorted()).toEqual(
      [...BREAKING_KINDS].toSorted(),
    );
  });
});

test("optional members, types, topics and better words are no break", () => {
  const later = changed("tidegate.reading", ({ properties }: Loose) => {
    properties.unit = { type: "string", description: "of all its metrics" };
    properties.boot.description = "put better";
    properties.clock.enum.reverse();
  });
  expect(
    breakingChanges(CURRENT, {
      ...later,
      topics: { ...later.topics, "<namespace>.pictures.v1": { key: "device", types: [] } },
      types: { ...later.types, "tidegate.picture": { type: "object" } },
    }),
  ).toEqual([]);
});
