import { expect, test } from "vitest";
import { sfc32 } from "./random.ts";
import { SeenSequences } from "./verify-seen.ts";

test("what comes in any order is told from what comes again", () => {
  const random = sfc32(1);
  const seen = new SeenSequences();
  const known = new Set<string>();
  for (let at = 0; at < 3000; at += 1) {
    const epoch = random() < 0.5 ? "a" : "b";
    // Nearly in order, as a journal is, with holes and what was sent again.
    const sequence = Math.max(1, Math.floor(at / 4 + random() * 30));
    const key = `${epoch} ${sequence}`;
    expect(seen.again(epoch, sequence)).toBe(known.has(key));
    known.add(key);
  }
});
