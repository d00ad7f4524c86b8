import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignPartitions } from "./assign.core.ts";

const members = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({ id: fc.constant(id), owned: fc.array(fc.nat(15), { maxLength: 16 }) }),
      ),
    ),
  );

describe("assigning partitions", () => {
  test("gives each partition to one member, in shares that differ by one at most", () => {
    fc.assert(
      fc.property(members, fc.nat(15), (group, partitions) => {
        const shares = assignPartitions(group, partitions);
        expect([...shares.keys()].toSorted()).toEqual(group.map((one) => one.id).toSorted());
        const all = [...shares.values()].flat().toSorted((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: partitions }, (_, i) => i));
        const sizes = [...shares.values()].map((share) => share.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("moves no more than it must when a member comes or goes", () => {
    const before = assignPartitions(
      [
        { id: "a", owned: [] },
        { id: "b", owned: [] },
      ],
      6,
    );
    const owned = (id: string) => before.get(id) ?? [];
    const three = assignPartitions(
      [
        { id: "a", owned: owned("a") },
        { id: "b", owned: owned("b") },
        { id: "c", owned: [] },
      ],
      6,
    );
    expect(three.get("a")?.every((one) => owned("a").includes(one))).toBe(true);
    expect(three.get("b")?.every((one) => owned("b").includes(one))).toBe(true);
    const alone = assignPartitions([{ id: "b", owned: owned("b") }], 6);
    expect(alone.get("b")).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("leaves nothing to share as nothing", () => {
    expect(assignPartitions([{ id: "a", owned: [3] }], 0).get("a")).toEqual([]);
  });
});
