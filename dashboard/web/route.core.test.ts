import { expect, test } from "vitest";
import { formatRoute, parseRoute, type Route } from "./route.core.ts";

test.each<Route>([
  { view: { name: "overview" }, zone: "local", search: "" },
  { view: { name: "overview" }, zone: "utc", search: "freezer & co?" },
  { view: { name: "alerts" }, zone: "utc", search: "" },
  {
    view: { name: "device", gateway: "gw-1", device: "a/b?c#d é" },
    range: "24h",
    zone: "local",
    search: "",
  },
  {
    view: { name: "device", gateway: "gw-1", device: "x" },
    range: { from: -5, to: 1_700_000_000_000 },
    zone: "utc",
    search: "",
  },
])("an address gives back the view it came from: %j", (route) => {
  expect(parseRoute(formatRoute(route))).toEqual(route);
});

test.each(["", "#", "#/nowhere", "#/devices/only", "#/devices/%/x", "#/devices//x"])(
  "what cannot be read is the overview: %s",
  (hash) => expect(parseRoute(hash).view).toEqual({ name: "overview" }),
);

test.each(["5..1", "now", "1..", "1..99999999999999999999", "2h"])(
  "a range that is none is left to the view: %s",
  (range) => expect(parseRoute(`#/devices/g/d?range=${range}`)).not.toHaveProperty("range"),
);
