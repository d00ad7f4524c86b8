import { describe, expect, test } from "vitest";
import type { GatewayId } from "../events/ids.ts";
import { type Boards, firstBoards, type Settled, settle, type Wishes } from "./boards.core.ts";
import type { Evidence } from "./hardware.core.ts";
import { hashed } from "./hardware.ts";

const PLANT = "plant-7" as GatewayId;
const SALT = "00112233445566778899aabbccddeeff";
const WISHES: Wishes = { wanted: undefined, onNewHardware: "suffix" };
const board = (serial: string): Evidence => hashed({ serial: [serial] }, SALT);
const [A, B, C] = [board("aaaa1"), board("bbbb2"), board("cccc3")];

function start(table: Boards, now: Evidence, wishes: Partial<Wishes> = {}): Settled {
  const settled = settle(table, now, { ...WISHES, ...wishes });
  if (!settled) throw new Error("refused");
  return settled;
}
const made = (evidence: Evidence) => firstBoards(PLANT, SALT, evidence);

describe("on other hardware", () => {
  test("it has an id of its own, and the epochs that begin are that one's", () => {
    const { board, owner, from, known } = start(made(A), B);
    expect(board.gateway).toMatch(/^plant-7-[0-9a-z]{5}$/);
    expect(owner).toEqual({ gateway: board.gateway, board: board.name });
    expect(from?.gateway).toBe("plant-7");
    expect(known).toBe(true);
    const again = start(start(made(A), B).boards, B);
    expect(again.board).toEqual(board);
    expect(again.from).toBeUndefined();
  });

  test("back and forth there are two ids, and the first is the first one's", () => {
    const there = start(made(A), B);
    const back = start(there.boards, A);
    expect(back.board.gateway).toBe("plant-7");
    expect(back.owner).toBeUndefined();
    expect(start(back.boards, B).owner).toEqual(there.owner);
    expect(start(there.boards, C).board.gateway).toMatch(/^plant-7-[0-9a-z]{5}$/);
  });

  test("`keep` leaves the id, and begins an epoch all the same; said later it takes the suffix away", () => {
    const kept = start(made(A), B, { onNewHardware: "keep" });
    expect(kept.board.gateway).toBe("plant-7");
    expect(kept.owner).toEqual({ gateway: "plant-7", board: kept.board.name });
    const later = start(start(made(A), B).boards, B, { onNewHardware: "keep" });
    expect(later.board.gateway).toBe("plant-7");
    expect(later.from?.gateway).toMatch(/^plant-7-/);
    // And stays away.
    expect(start(later.boards, B).board.gateway).toBe("plant-7");
  });

  test("the longest id there may be has room for it", () => {
    const table = firstBoards("x".repeat(64) as GatewayId, SALT, A);
    expect(start(table, B).board.gateway).toMatch(/^x{58}-[0-9a-z]{5}$/);
  });

  test("the table does not grow for ever, and keeps where it began and where it is", () => {
    let table = made(A);
    for (let i = 0; i < 50; i += 1) table = start(table, board(`serial ${i}`)).boards;
    expect(table.boards).toHaveLength(32);
    expect(start(table, board("serial 49")).from).toBeUndefined();
    expect(start(table, A).board.gateway).toBe("plant-7");
  });
});

test("boards that have one thing in common have names of their own", () => {
  const set = (serial: string) => hashed({ set: ["line 4"], serial: [serial] }, SALT);
  const table = made(set("aaaa1"));
  const [b, c] = [start(table, set("bbbb2")), start(table, set("cccc3"))];
  const names = [table.current, b.board.name, c.board.name];
  expect(new Set(names).size).toBe(3);
  expect(start(b.boards, set("aaaa1")).owner).toBeUndefined();
  const sets = ["one", "two"].map((id) => hashed({ set: [id], serial: ["aaaa1"] }, SALT));
  const [one = {}, two = {}] = sets;
  expect(start(made(one), two).board.name).not.toBe(made(one).current);
});

describe("a name from the configuration", () => {
  test("of a copy is taken, and stays when it is not set any more", () => {
    const copy = start(made(A), B, { wanted: "plant-7" });
    expect(copy.board.gateway).toMatch(/^plant-7-/);
    const named = start(copy.boards, B, { wanted: "plant-8" });
    expect(named.board.gateway).toBe("plant-8");
    expect(named.owner?.gateway).toBe("plant-8");
    expect(start(named.boards, B).board.gateway).toBe("plant-8");
    // Named as it is called already, nothing changes for it.
    const same = start(copy.boards, B, { wanted: copy.board.gateway });
    expect(same).toMatchObject({ owner: copy.owner, from: undefined });
    // A copy of the copy is called after it.
    expect(start(named.boards, C).board.gateway).toMatch(/^plant-8-/);
    // With its card in the first board it is not the first gateway.
    expect(start(named.boards, A, { wanted: "plant-8" }).board.gateway).toMatch(/^plant-8-/);
  });

  test("of what has one already is refused", () => {
    expect(settle(made(A), A, { ...WISHES, wanted: "plant-8" })).toBeUndefined();
    const named = start(start(made(A), B).boards, B, { wanted: "plant-8" });
    expect(settle(named.boards, B, { ...WISHES, wanted: "plant-9" })).toBeUndefined();
  });
});

describe("hardware that cannot be told", () => {
  test("goes on as it is, and what was known stays known", () => {
    const { board, owner, known, boards } = start(made(A), {});
    expect({ gateway: board.gateway, owner, known }).toEqual({
      gateway: "plant-7",
      owner: undefined,
      known: false,
    });
    expect(start(boards, B).board.gateway).toMatch(/^plant-7-/);
  });

  test("is told from the first evidence on", () => {
    const learnt = start(made({}), A);
    expect(learnt.board.gateway).toBe("plant-7");
    expect(start(learnt.boards, B).board.gateway).toMatch(/^plant-7-/);
  });

  test("copies that are told for the first time count on epochs of their own, under one id", () => {
    const image = made({});
    const [one, two] = ["one", "two"].map((id) => start(image, hashed({ set: [id] }, SALT)));
    expect(one?.owner?.gateway).toBe("plant-7");
    expect(two?.owner?.gateway).toBe("plant-7");
    expect(one?.owner?.board).not.toBe(two?.owner?.board);
    // Each only once.
    const again = start(one?.boards ?? image, hashed({ set: ["one"] }, SALT));
    expect(again).toMatchObject({ owner: one?.owner, from: undefined });
    expect(start(again.boards, {})).toMatchObject({ owner: one?.owner, known: false });
  });

  test("an id that is set for the first time is this hardware's, where nothing says otherwise", () => {
    const mac = hashed({ mac: ["00:1b:21:00:00:01"] }, SALT);
    const set = hashed({ set: ["line 4"] }, SALT);
    const learnt = start(made(mac), set);
    expect(learnt).toMatchObject({ known: true, owner: undefined });
    const other = hashed({ set: ["line 5"], mac: ["00:1b:21:00:00:01"] }, SALT);
    expect(start(learnt.boards, other).board.gateway).toMatch(/^plant-7-/);
    expect(start(made(A), { ...set, ...B }).board.gateway).toMatch(/^plant-7-/);
  });
});
