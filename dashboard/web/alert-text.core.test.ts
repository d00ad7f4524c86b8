import { expect, test } from "vitest";
import type { Alert, Device } from "../../events/schema.ts";
import { conditionOf, messageOf, neverFired, valueSince } from "./alert-text.core.ts";

const alert = (more: Partial<Alert> = {}): Alert => ({
  alert: "a",
  episode: "e",
  rule: "r",
  gateway: "g",
  device: "d",
  metric: "t",
  state: "firing",
  severity: "critical",
  condition: "t above -15",
  threshold: -15,
  value: -12,
  since: 0,
  changed: 1000,
  historical: false,
  message: "it thaws",
  ...more,
});

test("a condition that no longer holds is not printed as if it did", () => {
  expect(conditionOf(alert())).toBe("above -15");
  expect(conditionOf(alert({ state: "resolved", value: -19 }))).toBe("no longer above -15");
  expect(conditionOf(alert({ state: "resolved", value: -15 }))).toBe("no longer above -15");
  expect(conditionOf(alert({ state: "resolved" }))).toBe(
    "its rule no longer looks at it (above -15)",
  );
  const below = { condition: "t below 3", threshold: 3, state: "resolved" } as const;
  expect(conditionOf(alert({ ...below, value: 4 }))).toBe("no longer below 3");
  expect(conditionOf(alert({ ...below, value: 2 }))).toMatch(/its rule/);
});

test("the message of a resolved alert is shown only where it is one of its own", () => {
  expect(messageOf(alert())).toBe("it thaws");
  expect(messageOf(alert({ state: "resolved" }))).toBe("");
  expect(messageOf(alert({ state: "resolved", fired: true, message: "mended" }))).toBe("mended");
});

test("only an episode that is known not to have fired did not fire", () => {
  expect(neverFired(alert({ state: "resolved", fired: false }))).toBe(true);
  expect(neverFired(alert({ state: "resolved", fired: true }))).toBe(false);
  expect(neverFired(alert({ state: "resolved" }))).toBe(false);
});

test("the value since is the device's newer one, if it is a number", () => {
  const device = (value: number | string, time: number): Device => ({
    gateway: "g",
    device: "d",
    last_seen: time,
    readings: 1,
    metrics: { t: { value, time } },
  });
  expect(valueSince(alert(), device(-10, 1001))).toBe(-10);
  expect(valueSince(alert(), device(-10, 1000))).toBeUndefined();
  expect(valueSince(alert(), device("off", 2000))).toBeUndefined();
  expect(valueSince(alert(), undefined)).toBeUndefined();
});
