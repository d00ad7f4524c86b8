import { expect, test } from "vitest";
import { remembered, rememberedPair } from "./remembered.core.ts";

test("what is asked for again is not made again, and only so much is kept", () => {
  const made: string[] = [];
  const upper = remembered((text: string) => {
    made.push(text);
    return text.toUpperCase();
  }, 2);
  expect(["a", "b", "a", "b"].map(upper)).toEqual(["A", "B", "A", "B"]);
  expect(made).toEqual(["a", "b"]);
  expect(["c", "a"].map(upper)).toEqual(["C", "A"]);
  expect(made).toEqual(["a", "b", "c", "a"]);
});

test("two texts are told apart from the same letters cut elsewhere", () => {
  const made: string[] = [];
  const joined = rememberedPair((a: string, b: string) => {
    made.push(`${a}|${b}`);
    return `${a}+${b}`;
  }, 2);
  const ask = () => [joined("a", "bc"), joined("ab", "c")];
  expect([...ask(), ...ask()]).toEqual(["a+bc", "ab+c", "a+bc", "ab+c"]);
  expect(made).toEqual(["a|bc", "ab|c"]);
  expect(joined("x", "y")).toBe("x+y");
  expect(ask()).toEqual(["a+bc", "ab+c"]);
  expect(made).toEqual(["a|bc", "ab|c", "x|y", "a|bc", "ab|c"]);
});
