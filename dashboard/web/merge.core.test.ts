import { expect, test } from "vitest";
import type { Alert } from "../../events/schema.ts";
import { alertOrder, newerAlert, newerDevice, withChange } from "./merge.core.ts";

const alert = (name: string, changed: number, more: Partial<Alert> = {}): Alert => ({
  alert: name,
  episode: "e",
  rule: "r",
  gateway: "g",
  device: "d",
  metric: "m",
  state: "firing",
  severity: "warning",
  condition: "m above 1",
  threshold: 1,
  value: 2,
  since: 0,
  changed,
  historical: false,
  message: "",
  ...more,
});

test("what fires and is severe comes first, old data last", () => {
  const sorted = [
    alert("old", 9, { historical: true, severity: "critical" }),
    alert("pending", 9, { state: "pending", severity: "critical" }),
    alert("older", 1),
    alert("newer", 2),
    alert("critical", 0, { severity: "critical" }),
  ].sort(alertOrder);
  expect(sorted.map((a) => a.alert)).toEqual(["critical", "newer", "older", "pending", "old"]);
});

test("an answer that was overtaken by a push does not win", () => {
  const older = { gateway: "g", device: "d", last_seen: 9, readings: 1, metrics: {} };
  const newer = { ...older, readings: 2 };
  expect(newerDevice(newer, older)).toBe(newer);
  expect(newerDevice(older, newer)).toBe(newer);
  expect(newerDevice(undefined, older)).toBe(older);
  expect(newerAlert(alert("a", 2), alert("a", 1)).changed).toBe(2);
});

test("the history takes each change once, in its place", () => {
  const history = [alert("a", 3), alert("a", 1)];
  const grown = withChange(history, alert("b", 2));
  expect(grown.map((a) => a.changed)).toEqual([3, 2, 1]);
  expect(withChange(grown, alert("b", 2))).toBe(grown);
  expect(withChange([], alert("b", 2))).toHaveLength(1);
});
