import { expect, test } from "vitest";
import { QUANTITIES, type QuantityName, read } from "./friendly.core.ts";

const HOUR = 3_600_000;

test.each<[QuantityName, unknown, number]>([
  ["duration", "1h30m", 1.5 * HOUR],
  ["duration", "0s", 0],
  ["duration", "5 min", 300_000],
  ["duration", "250ms", 250],
  ["duration", "1d", 24 * HOUR],
  ["positive", "1ms", 1],
  ["signed", "-2d", -48 * HOUR],
  ["signed", "+10s", 10_000],
  ["signed", "10s", 10_000],
  ["signed", "-0s", 0],
  ["sync", "never", Number.POSITIVE_INFINITY],
  ["sync", "20s", 20_000],
  ["share", "5%", 0.05],
  ["share", "0.1 %", 0.001],
  ["share", 0.25, 0.25],
  ["share", "100%", 1],
  ["size", "64MB", 64 * 1024 ** 2],
  ["size", "1.5 gb", 1.5 * 1024 ** 3],
  ["hour", "7:30", 7.5 * HOUR],
  ["hour", "00:00", 0],
  ["week", "sun", 0],
  ["week", "wed 14:30", 3 * 24 * HOUR + 14.5 * HOUR],
  ["time", "2026-11-16", Date.UTC(2026, 10, 16)],
  ["time", "2026-11-16T08:00:00+01:00", Date.UTC(2026, 10, 16, 7)],
])("%s %j is %d", (name, text, value) => {
  expect(QUANTITIES[name].read(text)).toBe(value);
});

test.each<[QuantityName, readonly unknown[]]>([
  ["duration", ["", "10", 10, "-5s", "5 minutes", null, "1e9d", "9999d"]],
  ["positive", ["0s", "0ms", "-1s"]],
  ["signed", ["--1s", "+-1s", -5, "- 5s"]],
  ["sync", ["Never", "always", 0]],
  ["share", ["101%", "-1%", 1.1, -0.1, "0.5", Number.NaN, "%"]],
  ["size", ["64", 64, "0MB", "12 bytes", "64Mb/s"]],
  ["hour", ["24:00", "7", "7:60", 7, "7:5"]],
  ["week", ["wednesday", "wed 25:00", "14:00", "wed  14:00", "wed 14:00 x"]],
  ["time", ["2026-13-01", "16.11.2026", "2026-11-16T08:00", 1_700_000_000_000]],
])("%s: what cannot be read", (name, texts) => {
  for (const text of texts) expect(QUANTITIES[name].read(text), `${text}`).toBeUndefined();
  expect(() => read(name, texts[0])).toThrow(QUANTITIES[name].hint);
});
