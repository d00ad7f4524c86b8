import { describe, expect, test } from "vitest";
import { boardName, burntIn, likeness, meaningful, together } from "./hardware.core.ts";
import { hashed } from "./hardware.ts";

const MAC = ["dc:a6:32:00:00:01"];
const OTHER_MAC = ["dc:a6:32:00:00:02"];

describe("likeness", () => {
  test.each([
    ["nothing known of either", {}, {}, "unknown"],
    ["nothing in common", { serial: ["a"] }, { mac: MAC }, "unknown"],
    ["one that cannot be read now", { product_uuid: ["a"], mac: MAC }, { mac: MAC }, "same"],
    ["all the same", { serial: ["a"], mac: MAC }, { serial: ["a"], mac: MAC }, "same"],
    ["another serial", { serial: ["a"] }, { serial: ["b"] }, "different"],
    [
      "the same serial and other network cards",
      { serial: ["a"], mac: MAC },
      { serial: ["a"], mac: OTHER_MAC },
      "same",
    ],
    [
      "another serial and the same card",
      { serial: ["a"], mac: MAC },
      { serial: ["b"], mac: MAC },
      "different",
    ],
    [
      "a new UUID of new firmware",
      { product_uuid: ["a"], board_serial: ["s"] },
      { product_uuid: ["b"], board_serial: ["s"] },
      "same",
    ],
    [
      "firmware that says the same in every machine",
      { board_serial: ["s"], mac: MAC },
      { board_serial: ["s"], mac: OTHER_MAC },
      "different",
    ],
    [
      "a network card in another machine",
      { product_uuid: ["a"], mac: MAC },
      { product_uuid: ["b"], mac: MAC },
      "different",
    ],
    ["one network card out of two", { mac: [...MAC, ...OTHER_MAC] }, { mac: OTHER_MAC }, "same"],
    [
      "what is set decides alone",
      { set: ["a"], serial: ["s"] },
      { set: ["b"], serial: ["s"] },
      "different",
    ],
    ["what is set agrees", { set: ["a"] }, { set: ["a"], mac: MAC }, "same"],
    [
      "a setting that was copied",
      { set: ["a"], serial: ["s"] },
      { set: ["a"], serial: ["t"] },
      "different",
    ],
    [
      "the same by its network card",
      { set: ["a"], mac: MAC },
      { set: ["a"], mac: OTHER_MAC },
      "different",
    ],
    ["set only now, the rest the same", { serial: ["s"] }, { set: ["a"], serial: ["s"] }, "same"],
  ] as const)("%s", (_, known, now, expected) => {
    expect(likeness(known, now)).toBe(expected);
  });
});

test("what is learnt of a board is added; a card that is out for a while stays known, what is set is replaced", () => {
  const known = { set: ["a"], mac: MAC };
  expect(together(known, { set: ["b"], serial: ["s"], mac: OTHER_MAC })).toEqual({
    set: ["b"],
    serial: ["s"],
    mac: [...OTHER_MAC, ...MAC],
  });
});

test("hashes hide what they were made of, differ by salt and kind, and names follow them", () => {
  const raw = { serial: ["10000000abcdef"], board_serial: ["10000000abcdef"] };
  const one = hashed(raw, "salt");
  expect(JSON.stringify(one)).not.toContain("abcdef");
  expect(one).toEqual(hashed(raw, "salt"));
  expect(one.serial).not.toEqual(one.board_serial);
  expect(one.serial).not.toEqual(hashed(raw, "other").serial);
  expect(boardName(one, "salt")).toMatch(/^[0-9a-z]{10}$/);
  expect(boardName(one, "salt")).toBe(boardName(hashed(raw, "salt"), "salt"));
});

test("what firmware never had filled in says nothing", () => {
  const fillers = [
    "",
    "None",
    "To be filled by O.E.M.",
    "Default string",
    "0000000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
    "123456789",
    "N/A",
    "Not Specified",
    "ab",
    "\0",
  ];
  expect(fillers.map(meaningful)).toEqual(fillers.map(() => undefined));
  expect(meaningful("10000000ABCDEF12\0")).toBe("10000000abcdef12");
});

test("an address that software gave is none of the hardware's", () => {
  expect(burntIn("DC:A6:32:00:00:01\n")).toBe("dc:a6:32:00:00:01");
  for (const given of [
    "02:42:ac:11:00:02",
    "52:54:00:12:34:56",
    "00:00:00:00:00:00",
    "01:00:5e:00:00:01",
    "",
    "lo",
  ]) {
    expect(burntIn(given)).toBeUndefined();
  }
});
