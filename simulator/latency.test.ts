import { expect, test } from "vitest";
import { Latencies } from "./latency.ts";

test("quantiles are right to 2 %, and empty is empty", () => {
  const latencies = new Latencies();
  expect(latencies.quantile(0.5)).toBeUndefined();
  for (let ms = 1; ms <= 1000; ms += 1) latencies.add(ms);
  expect(Math.abs((latencies.quantile(0.5) ?? 0) / 500 - 1)).toBeLessThan(0.021);
  expect(Math.abs((latencies.quantile(0.99) ?? 0) / 990 - 1)).toBeLessThan(0.021);
  expect(Math.abs((latencies.quantile(1) ?? 0) / 1000 - 1)).toBeLessThan(0.021);
  latencies.clear();
  expect(latencies.quantile(0.5)).toBeUndefined();
});

test("what is beyond the range counts at its ends", () => {
  const latencies = new Latencies();
  latencies.add(0);
  latencies.add(1e9);
  expect(latencies.quantile(0.5)).toBeCloseTo(0.1, 9);
  expect(latencies.quantile(1)).toBeGreaterThan(99_000);
});
