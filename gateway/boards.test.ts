import { mkdtempSync } from "node:fs";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GatewayId } from "../events/ids.ts";
import { type BoardsOptions, readBoards, settleHardware } from "./boards.ts";

let directory = "";
let lines: { level: number; msg: string }[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-boards-"));
  lines = [];
});
afterEach(async () => {
  await chmod(directory, 0o700);
  await rm(directory, { recursive: true });
});

const logger = pino({ level: "info" }, { write: (line) => lines.push(JSON.parse(line)) });

function start(serial: string, more: Partial<BoardsOptions> = {}) {
  return settleHardware({
    dataDir: directory,
    gateway: "plant-7" as GatewayId,
    wanted: undefined,
    hardware: { on_new_hardware: "suffix" },
    logger,
    look: async () => ({ evidence: { serial: [serial] }, unreadable: [], passedOver: undefined }),
    ...more,
  });
}

test("the first start learns without a word, the next knows", async () => {
  const first = await start("aaaa1");
  expect(first).toMatchObject({ known: true, owner: undefined, from: undefined });
  expect(await start("aaaa1")).toEqual(first);
  expect(lines).toEqual([]);
  expect(await readFile(join(directory, "hardware.json"), "utf8")).not.toContain("aaaa1");
});

test("on another board: one line says what it is called, whose data it has, and what to do", async () => {
  await start("aaaa1");
  const { board } = await start("bbbb2", { wanted: "plant-7" });
  expect(lines).toHaveLength(1);
  for (const word of [board.gateway, "plant-7", "gateway_id", "hardware.on_new_hardware: keep"]) {
    expect(lines[0]?.msg).toContain(word);
  }
});

test("before network cards alone say that it is other hardware they are looked at again: they may come late", async () => {
  const card = (mac: string) => ({
    evidence: { mac: [mac] },
    unreadable: [],
    passedOver: undefined,
  });
  const [one, other] = [card("00:1b:21:00:00:01"), card("00:1b:21:00:00:02")];
  await start("", { look: async () => one });
  const both = { ...one, evidence: { mac: [...one.evidence.mac, ...other.evidence.mac] } };
  const looks = [other, both];
  const late = await start("", { look: async () => looks.shift() ?? both, lookAgainMs: 0 });
  expect(late.from).toBeUndefined();
  const third = card("00:1b:21:00:00:03");
  const moved = await start("", { look: async () => third, lookAgainMs: 0 });
  expect(moved.board.gateway).toMatch(/^plant-7-/);
});

test("hardware that nothing tells is said, once a start", async () => {
  const look = async () => ({ evidence: {}, unreadable: [], passedOver: undefined });
  await start("", { look });
  await start("", { look });
  expect(lines).toMatchObject([
    { level: 30, msg: expect.stringContaining("hardware.id") },
    { level: 30, msg: expect.stringContaining("hardware.id") },
  ]);
});

test("another name for what has one is refused", async () => {
  await start("aaaa1");
  await expect(start("aaaa1", { wanted: "plant-8" })).rejects.toMatchObject({
    code: "other_gateway",
    message: expect.stringContaining("--data-dir"),
  });
});

test("any bit of either file flipped: the other one counts", async () => {
  await start("aaaa1");
  const { board } = await start("bbbb2");
  const path = join(directory, "hardware.json");
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at += 1) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    await writeFile(path, flipped);
    expect((await readBoards(directory)).boards?.current, `byte ${at}`).toBe(board.name);
  }
  await rm(path);
  expect((await readBoards(directory)).boards?.current).toBe(board.name);
  await start("bbbb2");
  expect(lines.at(-2)).toMatchObject({ level: 40 });
  expect(await readFile(path)).toEqual(whole);
});

test("both gone, or damaged: it is taken for this hardware, and said", async () => {
  await start("aaaa1");
  await writeFile(join(directory, "hardware.json"), "null");
  await copyFile(join(directory, "hardware.json"), join(directory, "hardware.json.copy"));
  const { board, owner } = await start("bbbb2");
  expect(board.gateway).toBe("plant-7");
  // It may be a copy on other hardware: not on the epoch of the original.
  expect(owner).toEqual({ gateway: "plant-7", board: board.name });
  expect(lines).toContainEqual(expect.objectContaining({ level: 50 }));
  expect((await start("bbbb2")).from).toBeUndefined();
});

test("a disk that takes nothing does not stop a start, and the next one comes to the same", async () => {
  await start("aaaa1");
  await mkdir(join(directory, "hardware.json.copy.new"));
  const there = await start("bbbb2");
  expect(lines.at(-1)).toMatchObject({ level: 50 });
  expect((await start("bbbb2")).owner).toEqual(there.owner);
  await rm(join(directory, "hardware.json.copy.new"), { recursive: true });
  expect((await start("bbbb2")).owner).toEqual(there.owner);
});
