/**
 * Short scenarios by chance, in virtual time: the product's own buffer, sessions, forwarder, log and processors over disks,
 * clocks and networks that fail, against oracles that share no code with it. `npm run test:simulation` goes on from here.
 */
import { afterAll, expect, test } from "vitest";
import { Seeds } from "./seeds.ts";

const seeds = new Seeds();

for (let from = 101; from <= 200; from += 10) {
  test(`seeds ${from} to ${from + 9}`, async () => {
    for (let seed = from; seed < from + 10; seed += 1) await seeds.holds(seed);
  });
}

// They found a bug once (docs/bugs.md), or a fault of the simulator itself.
test.each([271, 544, 907])("seed %i", (seed) => seeds.holds(seed));

afterAll(() => {
  expect(seeds.acknowledged).toBeGreaterThan(20_000);
  expect(seeds.missing).toEqual([]);
});
