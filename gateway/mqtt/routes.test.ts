import { expect, test } from "vitest";
import { matchRoute } from "./routes.ts";

test.each([
  ["sensors/freezer-1", { device: "freezer-1" }],
  ["sensors/freezer-1/temperature", { device: "freezer-1", metric: "temperature" }],
  ["sensors/Kühl raum", { device: "Kühl raum" }],
  ["sensors/a/b/c", undefined],
  ["sensors", undefined],
  ["actuators/a", undefined],
])("%s", (topic, route) => {
  expect(matchRoute(topic)).toEqual(route);
});

test.each([
  "sensors/",
  "sensors//temperature",
  "sensors/a/",
  "sensors/a\u0007",
  `sensors/${"x".repeat(129)}`,
])("%j names nothing that an event can carry", (topic) => {
  expect(matchRoute(topic)).toMatchObject({ code: "bad_name" });
});
