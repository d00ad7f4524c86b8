import { describe, expect, test } from "vitest";
import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { Alert, BufferStatus } from "../../events/schema.ts";
import { clockWord, judgeLink, pastLink } from "./link.core.ts";
import { summarise } from "./summary.core.ts";

const NOW = 1_000_000;
const gateway = (
  name: string,
  age: number,
  totals: Partial<GatewayView["totals"]> = {},
): GatewayView => ({
  gateway: name,
  totals: {
    accepted: 10,
    arrived: 10,
    onTheWay: 0,
    missing: 0,
    duplicates: 0,
    declaredLost: 0,
    ...totals,
  },
  status: {
    gateway: name,
    time: NOW - age,
    epoch: "e",
    accepted: 10,
    forwarded: 10,
    buffered_bytes: 0,
    capacity_bytes: 1,
    clients: 1,
    interval: 10_000,
    started: 0,
    version: "1",
  },
});
const buffered = (name: string, buffer: Partial<BufferStatus>, age = 0): GatewayView => {
  const view = gateway(name, age);
  if (!view.status) throw new Error("it has a status");
  const whole: BufferStatus = {
    state: "open",
    policy: "refuse",
    near_full: false,
    waiting: 0,
    floor_bytes: 0,
    lost: { full: 0, damage: 0 },
    recoveries: 0,
    ...buffer,
  };
  return { ...view, status: { ...view.status, buffer: whole } };
};
const speaker = (epoch: string) => ({ epoch, started: 0, accepted: 0, version: "1" });
const alert = (severity: Alert["severity"], more: Partial<Alert> = {}): Alert => ({
  alert: "a",
  episode: "e",
  rule: "r",
  gateway: "g",
  device: "d",
  metric: "m",
  state: "firing",
  severity,
  condition: "m above 1",
  threshold: 1,
  value: 2,
  since: 0,
  changed: 0,
  historical: false,
  message: "",
  ...more,
});

describe("a link is judged with its evidence", () => {
  test.each([
    [9_000, "online"],
    [14_000, "online"],
    [16_000, "late"],
    [39_000, "late"],
    [41_000, "offline"],
    [-4000, "online"],
  ])("%d ms after its word: %s", (age, state) => {
    const link = judgeLink(gateway("g", age), NOW);
    expect(link.state).toBe(state);
    expect(link.evidence).toMatch(/^last heard .*, due every 10 s$/);
  });

  test("while nothing new can be known it is unknown, with the last verdict", () => {
    expect(pastLink(gateway("g", 0), NOW, "12:17:47")).toEqual({
      state: "unknown",
      word: "Unknown",
      evidence: "online as of 12:17:47",
    });
  });

  test("a gateway whose readings arrive without a status was never seen itself", () => {
    const { status: _, ...bare } = gateway("g", 0);
    expect(judgeLink(bare, NOW)).toMatchObject({
      state: "never",
      evidence: "its readings arrive, a status of its own has not yet",
    });
  });
});

test.each([
  [undefined, undefined],
  [{ synced: true }, undefined],
  [{ synced: false }, "Its clock is not set: readings wait for their time"],
  [{ synced: true, off: 3_600_000 * 48 }, "Its clock is 2 d ahead, and is not believed"],
  [{ synced: true, off: -95_000_000_000 }, "Its clock is 3 years behind, and is not believed"],
])("a gateway's clock %j is told as %j", (clock, word) => {
  expect(clockWord(clock)).toBe(word);
});

describe("the sentence", () => {
  test.each<[string, GatewayView[], Alert[], number, string, string]>([
    ["nothing", [], [], 0, "info", "Nothing has reached Tidegate yet."],
    [
      "well",
      [gateway("g", 0)],
      [],
      1,
      "ok",
      "All is well: every acknowledged reading has arrived.",
    ],
    [
      "on the way",
      [gateway("g", 0, { onTheWay: 3 })],
      [alert("critical", { state: "pending" })],
      1,
      "ok",
      "All is well: 3 events are on the way, none is missing, 1 alert is pending.",
    ],
    ["late", [gateway("g", 20_000)], [], 1, "warning", "Gateway g is late."],
    [
      "much",
      [gateway("g", 99_000, { missing: 1 }), gateway("h", 99_000, { declaredLost: 2 })],
      [alert("warning"), alert("info")],
      1,
      "critical",
      "2 alerts are firing, 1 event is missing, 2 gateways are offline and 2 events were declared lost.",
    ],
    [
      "old data pages nobody",
      [gateway("g", 0)],
      [alert("critical", { historical: true })],
      1,
      "ok",
      "All is well: every acknowledged reading has arrived.",
    ],
    [
      "a buffer is nearly full",
      [buffered("g", { near_full: true }), buffered("h", {})],
      [],
      1,
      "warning",
      "The buffer of gateway g is nearly full.",
    ],
    [
      "buffers are full",
      [buffered("g", { state: "full", near_full: true }), buffered("h", { state: "full" })],
      [],
      1,
      "critical",
      "The buffers of 2 gateways are full.",
    ],
    [
      "a buffer is being recovered",
      [buffered("g", { state: "recovering" })],
      [],
      1,
      "critical",
      "Gateway g is acknowledging nothing.",
    ],
    [
      "of one that is offline only that is known",
      [buffered("g", { state: "full" }, 99_000)],
      [],
      1,
      "critical",
      "Gateway g is offline.",
    ],
  ])("%s", (_name, gateways, alerts, devices, tone, text) => {
    expect(summarise(gateways, alerts, devices, NOW)).toEqual({ tone, text });
  });

  test("of the past says when, in the past tense, and never that all is well", () => {
    const text = (views: GatewayView[], alerts: Alert[] = []) =>
      summarise(views, alerts, 1, NOW, "12:17:47");
    expect(text([gateway("g", 0)])).toEqual({
      tone: "stale",
      text: "As of 12:17:47: every acknowledged reading had arrived.",
    });
    expect(text([gateway("g", 0, { onTheWay: 1 })]).text).toBe(
      "As of 12:17:47: 1 event was on the way, none was missing.",
    );
    expect(text([gateway("g", 20_000, { missing: 2 })], [alert("info"), alert("info")])).toEqual({
      tone: "stale",
      text: "As of 12:17:47: 2 alerts were firing, 2 events were missing and gateway g was late.",
    });
  });
});

test("two gateways under one id: a warning, and where they count on one epoch critical", () => {
  const shared = { ...gateway("plant-7", 0), sharedBy: [speaker("a"), speaker("b")] };
  expect(summarise([shared], [], 1, NOW)).toEqual({
    tone: "warning",
    text: "Two gateways use the id plant-7.",
  });
  const mixed = { ...shared, sharedBy: [speaker("a"), speaker("a")] };
  expect(summarise([mixed], [], 1, NOW).tone).toBe("critical");
});
