import { mkdtempSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GatewayId } from "../events/ids.ts";
import { loadIdentity, saveIdentity, unwritable } from "./identity.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-identity-"));
});
afterEach(async () => {
  await chmod(directory, 0o700);
  await rm(directory, { recursive: true });
});

test("an id is made at the first start and stays", async () => {
  const made = await loadIdentity(join(directory, "new", "deep"));
  expect(made.gateway).toMatch(/^gw-[0-9a-z]{8}$/);
  expect(made.bufferMade).toBe(false);
  expect(await loadIdentity(join(directory, "new", "deep"))).toEqual(made);
});

test("two first starts make two ids", async () => {
  const [a, b] = [
    await loadIdentity(join(directory, "a")),
    await loadIdentity(join(directory, "b")),
  ];
  expect(a.gateway).not.toBe(b.gateway);
});

test("that the buffer was made is remembered", async () => {
  const made = await loadIdentity(directory, "plant-7");
  await saveIdentity(directory, { ...made, bufferMade: true });
  expect(await loadIdentity(directory)).toEqual({ gateway: "plant-7", bufferMade: true });
});

const FILES = ["gateway.json", "gateway.json.copy"] as const;
const at = (name: string) => join(directory, name);

/** What can become of a file. */
const DAMAGES: Readonly<Record<string, (path: string) => Promise<void>>> = {
  emptied: (path) => truncate(path, 0),
  "cut short": (path) => truncate(path, 17),
  zeroed: async (path) => writeFile(path, Buffer.alloc((await readFile(path)).length)),
  deleted: (path) => rm(path),
  "another thing altogether": (path) => writeFile(path, "null"),
};

/** Each bit of the file flipped, one at a time. */
async function flips(path: string, afterwards: (bit: number) => Promise<void>): Promise<void> {
  const whole = await readFile(path);
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await writeFile(path, flipped);
    await afterwards(bit);
    await writeFile(path, whole);
  }
}

function lines(): { logger: Logger; lines: string[] } {
  const found: string[] = [];
  return { logger: pino({ level: "warn" }, { write: (line) => found.push(line) }), lines: found };
}

describe.each(FILES)("%s", (name) => {
  test.each(Object.keys(DAMAGES))(
    "%s: the other one is used, and both are whole again",
    async (damage) => {
      await saveIdentity(directory, { gateway: "plant-7" as GatewayId, bufferMade: true });
      const whole = await readFile(at(name), "utf8");
      await DAMAGES[damage]?.(at(name));
      const log = lines();
      expect(await loadIdentity(directory, undefined, log.logger)).toEqual({
        gateway: "plant-7",
        bufferMade: true,
      });
      expect(await readFile(at(name), "utf8")).toBe(whole);
      // A copy that is not there may never have been: earlier versions had none.
      const isSilent = damage === "deleted" && name === "gateway.json.copy";
      expect(log.lines).toHaveLength(isSilent ? 0 : 1);
    },
  );

  test("no flipped bit makes another gateway of it", async () => {
    await saveIdentity(directory, { gateway: "plant-7" as GatewayId, bufferMade: true });
    await flips(at(name), async () => {
      expect(await loadIdentity(directory)).toEqual({ gateway: "plant-7", bufferMade: true });
    });
  });
});

describe("both files", () => {
  beforeEach(() => saveIdentity(directory, { gateway: "plant-7" as GatewayId, bufferMade: true }));

  test.each(Object.keys(DAMAGES))("%s: it goes on under a new id, and says so", async (damage) => {
    await mkdir(at("buffer"));
    for (const name of FILES) await DAMAGES[damage]?.(at(name));
    const log = lines();
    const made = await loadIdentity(directory, undefined, log.logger);
    expect(made.gateway).toMatch(/^gw-[0-9a-z]{8}$/);
    // Not a first start: an empty buffer must not come from this.
    expect(made.bufferMade).toBe(true);
    expect(log.lines.join()).toContain("nothing says any more which gateway this is");
    expect(await loadIdentity(directory)).toEqual(made);
    const aside = (await readdir(directory)).filter((name) => name.includes("damaged"));
    expect(aside).toHaveLength(damage === "deleted" ? 0 : 2);
  });

  test("the configured id is its id then", async () => {
    for (const name of FILES) await truncate(at(name), 0);
    expect((await loadIdentity(directory, "plant-7")).gateway).toBe("plant-7");
    for (const name of FILES) await truncate(at(name), 0);
    await loadIdentity(directory, "plant-7");
    expect((await readdir(directory)).sort()).toEqual([
      "gateway.json",
      "gateway.json.copy",
      "gateway.json.copy.damaged-1",
      "gateway.json.copy.damaged-2",
      "gateway.json.damaged-1",
      "gateway.json.damaged-2",
    ]);
  });

  test.each(["buffer.mark", "buffer.secured", "buffer"])(
    "%s alone says that there was a buffer",
    async (name) => {
      for (const file of FILES) await rm(at(file));
      expect((await loadIdentity(directory)).bufferMade).toBe(false);
      for (const file of FILES) await rm(at(file));
      await writeFile(at(name), "");
      expect((await loadIdentity(directory)).bufferMade).toBe(true);
    },
  );
});

test("a cut between the two leaves the newer word: that the buffer was made", async () => {
  const gateway = "plant-7" as GatewayId;
  await saveIdentity(directory, { gateway, bufferMade: false });
  const before = await readFile(at("gateway.json"));
  await saveIdentity(directory, { gateway, bufferMade: true });
  await writeFile(at("gateway.json"), before);
  expect(await loadIdentity(directory)).toEqual({ gateway, bufferMade: true });
});

test("data of a version that kept one file are taken over without a word", async () => {
  await writeFile(at("gateway.json"), `{"gateway": "plant-7", "buffer_made": true}`);
  const log = lines();
  const identity = { gateway: "plant-7", bufferMade: true };
  expect(await loadIdentity(directory, undefined, log.logger)).toEqual(identity);
  expect(log.lines).toEqual([]);
  await rm(at("gateway.json"));
  expect(await loadIdentity(directory)).toEqual(identity);
});

test("a disk that takes no writes does not stop a gateway that knows who it is", async () => {
  await saveIdentity(directory, { gateway: "plant-7" as GatewayId, bufferMade: true });
  await truncate(at("gateway.json"), 0);
  // Root may write where nobody else may, so a directory stands in the way of the write.
  await mkdir(at("gateway.json.copy.new"));
  const log = lines();
  expect((await loadIdentity(directory, undefined, log.logger)).gateway).toBe("plant-7");
  expect(log.lines.join()).toContain("stands in one file only");
});

test("a directory that cannot be written is named with what to do", async () => {
  await writeFile(join(directory, "file"), "");
  await expect(loadIdentity(join(directory, "file", "x"))).rejects.toMatchObject({
    code: "unwritable",
    message: expect.stringContaining("--data-dir"),
  });
});

test.each([
  ["ENOSPC", "The disk is full: make room"],
  ["EDQUOT", "The disk is full: make room"],
  ["EACCES", "Give this user the right to it"],
])("where it cannot be written for %s the message says what helps", (code, remedy) => {
  const error = unwritable("/data", Object.assign(new Error(code), { code }));
  expect(error.message).toContain(remedy);
});
