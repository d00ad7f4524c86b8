import { expect, test } from "vitest";
import { Unfinished } from "./unfinished.ts";

function three() {
  const unfinished = new Unfinished(100);
  const closed: string[] = [];
  const gatherer = (name: string) => ({ unfinishedTooMuch: () => closed.push(name) });
  return { unfinished, closed, a: gatherer("a"), b: gatherer("b"), c: gatherer("c") };
}

test("up to the limit nobody is closed, and what comes whole counts no more", () => {
  const { unfinished, closed, a, b, c } = three();
  unfinished.hold(a, 60);
  unfinished.hold(b, 40);
  unfinished.hold(b, 0);
  unfinished.hold(c, 39);
  unfinished.hold(c, 40);
  expect(unfinished.bytes).toBe(100);
  expect(closed).toEqual([]);
});

test("beyond it whoever holds most is closed, whoever asked; as many as it takes", () => {
  const { unfinished, closed, a, b, c } = three();
  unfinished.hold(a, 60);
  unfinished.hold(b, 30);
  unfinished.hold(c, 11);
  expect(closed).toEqual(["a"]);
  expect(unfinished.bytes).toBe(41);
  // As a connection does when it closes.
  unfinished.hold(a, 0);
  expect(unfinished.bytes).toBe(41);
  unfinished.hold(c, 300);
  expect(closed).toEqual(["a", "c"]);
  expect(unfinished.bytes).toBe(30);
});
