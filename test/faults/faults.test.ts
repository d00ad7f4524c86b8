/**
 * The short form of the faults: each kind a few times against the real program. The long form, with a seed and a count,
 * is `npm run test:faults`.
 *
 * A failing run prints its seed; TEST_SEED replays its choices (the machine's own timing stays its own).
 */
import { describe, expect, test } from "vitest";
import { childSeed, sfc32 } from "../../simulator/random.ts";
import { KINDS } from "./kinds.ts";
import { Ground, missingNeed } from "./machine.ts";

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe(`faults (TEST_SEED=${seed})`, async () => {
  for (const kind of KINDS) {
    const missing = await missingNeed(kind.needs);
    if (missing) process.stderr.write(`skipped: fault ${kind.name}, because ${missing}\n`);
    test.skipIf(missing !== undefined)(kind.name, { timeout: 120_000 }, async () => {
      const ground = new Ground();
      try {
        const random = sfc32(childSeed(seed, kind.name));
        const { faults, verdicts } = await kind.run({ ground, random, short: true });
        expect(faults).toBeGreaterThan(0);
        expect(verdicts.flatMap((verdict) => verdict.faults)).toEqual([]);
        expect(Math.min(...verdicts.map(({ acknowledged }) => acknowledged))).toBeGreaterThan(0);
      } finally {
        ground.release();
      }
    });
  }
});
