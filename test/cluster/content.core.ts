/** What the readings of a run say: all of it follows from the seed, the gateway and a number, so that any that changed is found. */
import type { Reading } from "../../events/schema.ts";
import type { Rule } from "../../rules/rule.ts";
import { childSeed, uniformAt } from "../../simulator/random.ts";

/** Numbers of one life of a process, which no other life uses. */
export const NUMBERS_A_LIFE = 1_000_000;

/** Readings from the height of one wave to the next: a condition holds for some, and not for others. */
const WAVE = 151;
/** Most ms by which a device's clock differs from its gateway's: its readings are not in the order of their times. */
const DEVICE_CLOCK_MS = 1500;

type Content = Pick<Reading, "device" | "metrics">;

export function contentOf(seed: number, gateway: string, number: number): Content {
  const own = childSeed(seed, gateway);
  const phase = uniformAt(own, -1) * 2 * Math.PI;
  const wave = 10 * Math.sin((2 * Math.PI * number) / WAVE + phase);
  const temperature = Math.round((20 + wave + uniformAt(own, number)) * 100) / 100;
  return { device: number % 2 === 0 ? "even" : "odd", metrics: { temperature, number } };
}

/** One device gives a time of its own; of the other the gateway's counts. */
export function deviceTime(
  seed: number,
  gateway: string,
  number: number,
  now: number,
): number | undefined {
  if (number % 2 === 0) return undefined;
  const off = uniformAt(childSeed(seed, `${gateway} time`), number) * DEVICE_CLOCK_MS;
  return Math.round(now - off);
}

/** One that looks at each reading, one that also looks at how long, and one for what was kept back by a fault. */
export const RULES: readonly Rule[] = [
  {
    name: "hot",
    metric: "temperature",
    when: { direction: "above", threshold: 29 },
    forMs: 0,
    freshnessMs: 5000,
    device: "*",
    gateway: "*",
    severity: "critical",
    message: "{device} is hot",
  },
  {
    name: "warm",
    metric: "temperature",
    when: { direction: "above", threshold: 25 },
    clear: { direction: "below", threshold: 23 },
    forMs: 4000,
    freshnessMs: 3_600_000,
    device: "*",
    gateway: "*",
    severity: "warning",
    message: "{device} is warm",
  },
];
