import fc from "fast-check";
import { expect, test } from "vitest";
import { SubscriptionFilters } from "./subscription-filters.core.ts";

/** The specification's rules for one filter, level by level. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const names = topic.split("/");
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  for (const [i, level] of wanted.entries()) {
    if (level === "#") return true;
    if (i >= names.length || (level !== "+" && level !== names[i])) return false;
  }
  return wanted.length === names.length;
}

test.each([
  ["sensors/#", "sensors", true],
  ["sensors/#", "sensors/a/b", true],
  ["sensors/+", "sensors", false],
  ["sensors/+", "sensors/", true],
  ["#", "sensors/a", true],
  ["#", "$SYS/a", false],
  ["+/a", "$SYS/a", false],
  ["$SYS/#", "$SYS/a", true],
  ["/+", "/a", true],
  ["+", "/a", false],
])("%s against %s: %s", (filter, topic, expected) => {
  const filters = new SubscriptionFilters();
  filters.add(filter);
  expect(filters.matches(topic)).toBe(expected);
  expect(matches(filter, topic)).toBe(expected);
});

test("says what a look at each filter says, after any additions and removals", () => {
  const level = fc.constantFrom("a", "b", "", "+", "$x");
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, all]) => (all ? [...levels, "#"] : levels).join("/"));
  const topic = fc
    .array(fc.constantFrom("a", "b", "", "$x"), { minLength: 1, maxLength: 4 })
    .map((levels) => levels.join("/"));
  const step = fc.tuple(fc.boolean(), filter);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.array(topic), (steps, topics) => {
      const filters = new SubscriptionFilters();
      const held: string[] = [];
      for (const [add, one] of steps) {
        if (add) {
          filters.add(one);
          held.push(one);
        } else {
          filters.remove(one);
          const at = held.indexOf(one);
          if (at >= 0) held.splice(at, 1);
        }
      }
      expect(filters.size).toBe(held.length);
      for (const one of topics) {
        expect(filters.matches(one)).toBe(held.some((candidate) => matches(candidate, one)));
      }
    }),
  );
});
