import { expect, test } from "vitest";
import { type JournalLine, PayloadLedger, payloadsText, reportOf } from "./payloads.core.ts";

const line = (what: string, payload: string, more: object = {}): JournalLine => ({
  type: `tidegate.payload${what}`,
  data: { payload, ...more },
});
const stored = (id: string) => line("-stored", id, { size: 10, key: `gw/day/${id}` });

function account(...lines: JournalLine[]) {
  const ledger = new PayloadLedger();
  for (const one of lines) ledger.add(one);
  return ledger.account();
}

test("each payload is counted once, by what became of it", () => {
  const found = account(
    line("", "1"),
    line("", "2"),
    line("", "3"),
    line("", "4"),
    stored("1"),
    stored("1"),
    line("-lost", "2", { reason: "full" }),
    line("-lost", "4", { reason: "damage" }),
    stored("4"),
    { type: "tidegate.reading", data: {} },
  );
  expect([...found.stored.keys()]).toEqual(["1", "4"]);
  expect(found.lost).toEqual(new Map([["full", ["2"]]]));
  expect(found.onTheWay).toEqual(["3"]);
});

test("what is missing or changed is named, and makes the verdict", () => {
  const found = account(stored("1"), stored("2"), stored("3"));
  const states = new Map([
    ["1", "missing"],
    ["2", "whole"],
    ["3", "changed"],
  ] as const);
  const report = reportOf("there", found, states, false);
  expect(report).toMatchObject({
    whole: 1,
    bytes: 10,
    expired: 0,
    missing: ["gw/day/1"],
    changed: ["gw/day/3"],
  });
  expect(payloadsText(report)).toMatch(
    /Missing {5}gw\/day\/1\nChanged {5}gw\/day\/3\n\n2 of the objects/,
  );
  // The oldest of a directory with a limit were deleted; one in the middle was not.
  expect(reportOf("there", found, states, true)).toMatchObject({ expired: 1, missing: [] });
  const middle = new Map([
    ["1", "whole"],
    ["2", "missing"],
    ["3", "whole"],
  ] as const);
  expect(reportOf("there", found, middle, true)).toMatchObject({
    expired: 0,
    missing: ["gw/day/2"],
  });
});
