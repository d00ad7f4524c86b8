import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeCbor, encodeEvent } from "./codec.ts";
import { EVENT_SCHEMAS, type EventType } from "./schema.ts";
import { decodeItem } from "./test-support/cbor-items.ts";
import { Cddl } from "./test-support/cddl.ts";
import { ALL_SAMPLES, SAMPLES } from "./test-support/samples.ts";

const contract = join(import.meta.dirname, "contract/v1");
const cddl = new Cddl(join(contract, "events.cddl"));
const ruleOf = (type: EventType) => type.slice("tidegate.".length);

test("every event type is described", () => {
  expect(cddl.ruleNames).toEqual(
    expect.arrayContaining((Object.keys(EVENT_SCHEMAS) as EventType[]).map(ruleOf)),
  );
});

test.each(ALL_SAMPLES)(
  "%s (%s): the encoded bytes are what the CDDL describes",
  (type, _, event) => {
    const item = decodeItem(encodeEvent(type, event));
    expect(cddl.fault(ruleOf(type), item)).toBeUndefined();
    expect(cddl.fault("event", item)).toBeUndefined();
    const alone = new Cddl(join(contract, `${ruleOf(type)}.cddl`));
    expect(alone.fault(alone.ruleNames[0] ?? "", item)).toBeUndefined();
  },
);

test("members of a later version are passed over, of another type none", () => {
  const later = { ...SAMPLES["tidegate.heartbeat"].full, battery: [0.5] };
  expect(cddl.fault("heartbeat", decodeItem(encodeCbor(later)))).toBeUndefined();
  expect(
    cddl.fault("tick", decodeItem(encodeCbor({ time: 1, more: { a: null } }))),
  ).toBeUndefined();
});

/** The members of every schema and of its rule are the same, and so is which of them may be left out. */
describe("schema and CDDL have the same members", () => {
  for (const [type, schema] of Object.entries(EVENT_SCHEMAS)) {
    test(type, () => {
      const { full, least } = SAMPLES[type as EventType];
      const { properties, required } = schema as { properties: object; required: string[] };
      expect(Object.keys(full).toSorted()).toEqual(Object.keys(properties).toSorted());
      expect(Object.keys(least ?? full).toSorted()).toEqual(required.toSorted());
      for (const name of required) {
        const { [name]: _, ...without } = full as Record<string, unknown>;
        const item = decodeItem(encodeCbor(without));
        expect(cddl.fault(ruleOf(type as EventType), item)).toContain(`${name} is not there`);
      }
    });
  }
});

describe("what is wrong is found", () => {
  const change = (type: EventType, more: object) => {
    const item = decodeItem(encodeCbor({ ...SAMPLES[type].full, ...more }));
    return cddl.fault(ruleOf(type), item);
  };
  test.each<[EventType, object, string]>([
    ["tidegate.reading", { device: 5 }, "reading.device is not tstr"],
    ["tidegate.reading", { device: "" }, "reading.device has 0 bytes"],
    ["tidegate.reading", { metrics: {} }, "too few members"],
    ["tidegate.reading", { metrics: { a: [1] } }, "reading.metrics.a is not int or"],
    ["tidegate.reading", { metrics: { a: "x".repeat(3073) } }, "reading.metrics.a has 3073 bytes"],
    ["tidegate.reading", { clock: "guessed" }, 'reading.clock is not "device"'],
    ["tidegate.loss", { from: 0 }, "loss.from is too small"],
    ["tidegate.loss", { from: "1" }, "loss.from is not uint"],
    ["tidegate.epoch", { previous: { epoch: "x" } }, "previous.highest is not there"],
    ["tidegate.rejected-payload", { payload: "text" }, "payload is not bstr"],
    ["tidegate.gateway-status", { clients: -1 }, "clients is not uint"],
    ["tidegate.device", { metrics: { a: { value: 1 } } }, "metrics.a.time is not there"],
    ["tidegate.ledger", { received: [[1]] }, "received[0] has 1 items"],
    ["tidegate.ledger", { missing: [[1, null]] }, "missing[0].to is not uint"],
    ["tidegate.alert", { historical: 0 }, "historical is not bool"],
    ["tidegate.tick", { time: "now" }, "time is not int or"],
  ])("%s %j", (type, more, fault) => {
    expect(change(type, more)?.replace("missing[0][1]", "missing[0].to")).toContain(fault);
  });
  test("a value of another shape altogether", () => {
    expect(cddl.fault("tick", decodeItem(encodeCbor([1])))).toBe("tick is not a map");
    expect(() => decodeItem(new Uint8Array([0x19, 0x01]))).toThrow("cut short");
    expect(() => decodeItem(new Uint8Array([0x01, 0x01]))).toThrow("after the item");
    expect(() => cddl.fault("no-such-rule", decodeItem(encodeCbor(1)))).toThrow("does not know");
  });
});
