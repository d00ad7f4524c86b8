import { describe, expect, test } from "vitest";
import type { Epoch } from "../events/ids.ts";
import type { BufferStatus } from "../events/schema.ts";
import type { Examination } from "../gateway/buffer/examine.ts";
import { checkText, runningText, verdictOf } from "./buffer-text.core.ts";

const epoch = "0a1b2c3d4e" as Epoch;
const WHOLE: Examination = {
  format: 2,
  epochs: [{ epoch, highest: 1200, waiting: { from: 101, to: 1200 } }],
  cursor: { epoch, sequence: 100 },
  mark: { epoch, sequence: 1200, copied: false },
  groups: 1,
  bytes: 5,
  diskBytes: 10,
  freeBytes: 20,
  damage: [],
  lost: [],
  saved: undefined,
  start: "nothing",
};

describe("what is found is said in words", () => {
  test.each<[string, Partial<Examination>, string, RegExp]>([
    ["whole", {}, "whole", /101 to 1,200 wait.*1 group, 5 bytes.*\nWhole: /s],
    [
      "all released",
      { epochs: [{ epoch, highest: 7, waiting: undefined }] },
      "whole",
      /nothing waits/,
    ],
    ["cut off", { start: "finish-salvage" }, "whole", /a power cut kept it from/],
    [
      "no mark",
      { mark: undefined, start: "new-epoch" },
      "unproven",
      /Mark +not there.*Without the mark nothing says/s,
    ],
    [
      "a copy",
      { mark: { epoch, sequence: 9, copied: true }, start: "new-epoch" },
      "unproven",
      /is a copy of another one.*put back from a copy/s,
    ],
    [
      "damage without loss",
      { start: "salvage", damage: ["a", "b"], saved: 7, cursor: undefined, format: undefined },
      "damaged",
      /Format +unreadable.*Cursor +unreadable.*Damage +a\n +b\nWould save +7 events\n.*Nothing that was acknowledged is lost/s,
    ],
    [
      "losses",
      {
        start: "salvage",
        damage: ["a"],
        saved: 0,
        lost: [
          { epoch, from: 5, to: 5 },
          { epoch, from: 8, to: 9 },
        ],
      },
      "damaged",
      /Would lose +0a1b2c3d4e {2}5 \(1 event\)\n +0a1b2c3d4e {2}8 to 9 \(2 events\).*Damaged: 3 events/s,
    ],
  ])("%s", (_, change, verdict, text) => {
    const examination = { ...WHOLE, ...change };
    expect(verdictOf(examination)).toBe(verdict);
    expect(checkText("/data/buffer", examination, [])).toMatch(text);
  });
});

test("of a running gateway: how it is, and why it takes nothing", () => {
  const running = { pid: 7, http: "http://127.0.0.1:1" };
  const buffer = { state: "open", recoveries: 0, lost: { full: 0, damage: 0 } } as BufferStatus;
  const sound = runningText(running, buffer, undefined);
  expect(sound).toContain("Nothing was declared lost to damage since it started.\nIt checks");
  // How it was found at the start nobody reports: a salvage that lost nothing may have been.
  expect(sound).not.toMatch(/whole/i);
  const original = { number: 2, path: "", bytes: 5000, at: 0 };
  expect(runningText(running, { ...buffer, recoveries: 3 }, undefined, [original])).toMatch(
    /checked 3 times.*\nA damaged original is in quarantine: 2 {2}put aside 1970-/,
  );
  const refusing = { ...buffer, state: "full", policy: "refuse" } as BufferStatus;
  expect(runningText(running, refusing, "full")).toContain("nothing more is acknowledged");
  const lossy = { ...buffer, lost: { full: 0, damage: 3 } };
  expect(runningText(running, lossy, undefined)).toContain("3 events were declared lost to damage");
  const recovering = { ...buffer, state: "recovering", trouble: "disk full" } as BufferStatus;
  expect(runningText(running, recovering, "x")).toMatch(/nothing is acknowledged.*disk full/);
  expect(runningText(running, undefined, "it starts")).toContain("it starts");
});
