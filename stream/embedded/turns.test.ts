import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

test("who has the turn is asked for it, and gets it back behind whoever asked", async () => {
  const turns = new Turns();
  const order: string[] = [];
  const first = await turns.take("t", 0, false);
  const other = await turns.take("t", 1, false);
  expect(first.wanted.aborted).toBe(false);
  const urgent = turns.take("t", 0, true).then((turn) => {
    order.push("urgent");
    return turn;
  });
  expect([first.wanted.aborted, other.wanted.aborted]).toEqual([true, false]);
  first.end();
  first.end();
  const again = turns.take("t", 0, false).then((turn) => {
    order.push("again");
    return turn;
  });
  const second = await urgent;
  expect(second.wanted.aborted).toBe(false);
  expect(order).toEqual(["urgent"]);
  second.end();
  const third = await again;
  expect(order).toEqual(["urgent", "again"]);
  third.end();
  expect((await turns.take("t", 0, false)).wanted.aborted).toBe(false);
});
