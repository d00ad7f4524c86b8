/** A buffer on other hardware: whose its epochs are, what goes out under which id, and power cuts on the way. */
import { existsSync, mkdtempSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { type GatewayId, makeEpoch } from "../../events/ids.ts";
import type { Owner } from "./chapters.core.ts";
import { event, STAMP } from "./conformance.ts";
import { LevelBuffer } from "./leveldb.ts";
import { MarkFile } from "./mark.ts";

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };
const PLANT = "plant-7" as GatewayId;
const COPY: Owner = { gateway: "plant-7-bbbbb" as GatewayId, board: "bbbbbbbbbb" };
const OTHER: Owner = { gateway: "plant-7-ccccc" as GatewayId, board: "cccccccccc" };

let root = "";
let epochs = 0;
const running: LevelBuffer[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-owner-"));
});
afterEach(async () => {
  for (const buffer of running.splice(0)) await buffer.stop();
  await rm(root, { recursive: true });
});

async function opened(card: string, owner?: Owner): Promise<LevelBuffer> {
  const buffer = new LevelBuffer({
    directory: join(root, card, "buffer"),
    createIfMissing: card === "card" && !existsSync(join(root, card)),
    makeEpoch: () => {
      epochs += 1;
      return makeEpoch(Uint8Array.from({ length: 10 }, (_, i) => (epochs >> (5 * i)) & 31));
    },
    ...{ owner, origin: PLANT, stamp: () => STAMP },
    ...{ capacityBytes: 1e7, policy: "refuse", freeFloorBytes: 0, commitWindowMs: 0 },
  });
  await buffer.start();
  running.push(buffer);
  return buffer;
}

async function closed(buffer: LevelBuffer): Promise<void> {
  running.splice(running.indexOf(buffer), 1);
  await buffer.stop();
}

/** As an image of the whole card is: even the mark does not know that it is a copy. */
async function imaged(from: string, to: string): Promise<void> {
  await cp(join(root, from), join(root, to), { recursive: true });
  const path = join(root, to, "buffer.mark");
  const found = await MarkFile.read(path);
  if (!found) throw new Error("there is no mark");
  const file = await MarkFile.open(path);
  await file.write(found);
  await file.write(found);
  await file.close();
}

/** What waits: `gateway epoch-sequence`, with what opens an epoch in full. */
async function waits(buffer: LevelBuffer) {
  const events = await buffer.read(buffer.stats().positions.released, ALL);
  return events.map(({ gateway, epoch, sequence, type, value }) => ({
    place: `${gateway ?? PLANT} ${epoch}-${sequence}`,
    opens: type === "tidegate.epoch" ? decodeEvent(type, value) : undefined,
  }));
}
const places = async (buffer: LevelBuffer) => (await waits(buffer)).map(({ place }) => place);

/** A card with three readings on it, one of them released. @returns its epoch */
async function used(): Promise<string> {
  const buffer = await opened("card");
  await buffer.append(["a", "b", "c"].map(event));
  await buffer.release(2);
  const { epoch } = buffer.stats();
  await closed(buffer);
  return epoch;
}

describe("[OWNER-1] a copy on other hardware", () => {
  test("counts on an epoch of its own, from 1; what it held stays its original's, under the same ids", async () => {
    const epoch = await used();
    await imaged("card", "copy");
    const copy = await opened("copy", COPY);
    expect(copy.stats()).toMatchObject({ accepted: 1, lost: { damage: 0, full: 0 } });
    await copy.append([event("d")]);
    const own = copy.stats().epoch;
    expect(own).not.toBe(epoch);
    const found = await waits(copy);
    expect(found.map(({ place }) => place)).toEqual([
      `plant-7 ${epoch}-3`,
      `plant-7 ${epoch}-4`,
      `plant-7-bbbbb ${own}-1`,
      `plant-7-bbbbb ${own}-2`,
    ]);
    // Whose the epoch before was is said, so that nobody closes it for its owner.
    const previous = { epoch, highest: 4, gateway: "plant-7" };
    expect(found[2]?.opens).toMatchObject({ reason: "moved", previous });
    // The original goes on, and knows nothing of all this.
    const original = await opened("card");
    await original.append([event("d")]);
    expect(await places(original)).toEqual([3, 4, 5].map((n) => `plant-7 ${epoch}-${n}`));
  });

  test("goes on under it at each further start; back in its first hardware it begins another", async () => {
    await used();
    const own = (await closedAfter(await opened("card", COPY))).epoch;
    expect((await closedAfter(await opened("card", COPY))).epoch).toBe(own);
    const back = await opened("card");
    expect(back.stats().epoch).not.toBe(own);
    expect((await places(back)).at(-1)).toBe(`plant-7 ${back.stats().epoch}-1`);
    const { opens } = (await waits(back)).at(-1) ?? {};
    expect(opens).toMatchObject({
      reason: "moved",
      previous: { epoch: own, gateway: "plant-7-bbbbb" },
    });
  });

  test("under the same id, where the board was replaced, it begins an epoch and closes the one before", async () => {
    const epoch = await used();
    const replaced = await opened("card", { gateway: PLANT, board: "bbbbbbbbbb" });
    const { opens } = (await waits(replaced)).at(-1) ?? {};
    expect(opens).toMatchObject({ reason: "moved", previous: { epoch, highest: 4 } });
    expect((opens as { previous: object }).previous).not.toHaveProperty("gateway");
  });

  test("where the power went before the mark knew of the epoch: it goes on under it, wherever it is by then", async () => {
    const epoch = await used();
    const before = await MarkFile.read(join(root, "card", "buffer.mark"));
    const own = (await closedAfter(await opened("card", COPY))).epoch;
    const cut = async () => {
      const file = await MarkFile.open(join(root, "card", "buffer.mark"));
      if (before) await file.write(before);
      if (before) await file.write(before);
      await file.close();
    };
    await cut();
    const again = await opened("card", COPY);
    expect(again.stats()).toMatchObject({ epoch: own, lost: { damage: 0 } });
    await closed(again);
    await cut();
    const elsewhere = await opened("card", OTHER);
    expect([epoch, own]).not.toContain(elsewhere.stats().epoch);
    expect((await places(elsewhere)).map((place) => place.split(" ")[0])).toEqual([
      ...["plant-7", "plant-7", "plant-7-bbbbb", "plant-7-ccccc"],
    ]);
  });

  test("that is damaged: what is lost is declared under its original's id, the rest is as before", async () => {
    const epoch = await used();
    await rm(join(root, "card", "buffer"), { recursive: true });
    const copy = await opened("card", COPY);
    const found = await waits(copy);
    expect(found.map(({ place }) => place)).toEqual([
      `plant-7 ${epoch}-4`,
      `plant-7-bbbbb ${copy.stats().epoch}-1`,
    ]);
    expect(found[1]?.opens).toMatchObject({ reason: "moved", previous: { gateway: "plant-7" } });
    await closed(copy);
    expect((await opened("card", COPY)).stats().accepted).toBe(1);
  });

  test("that goes from board to board without ever sending has more epochs than a mark can name, and loses nothing", async () => {
    const epoch = await used();
    const gateway = `plant-7-${"a".repeat(56)}` as GatewayId;
    for (let board = 0; board < 60; board += 1) {
      const name = `board${String(board).padStart(5, "0")}`;
      await closedAfter(await opened("card", { gateway: gateway, board: name }));
    }
    const last = await opened("card");
    expect(last.stats()).toMatchObject({ accepted: 1, lost: { damage: 0 } });
    const found = await places(last);
    expect(found).toHaveLength(2 + 60 + 1);
    expect(found.slice(0, 2)).toEqual([`plant-7 ${epoch}-3`, `plant-7 ${epoch}-4`]);
    const { epoch: own } = last.stats();
    await closed(last);
    // Whichever of its two places the mark was written to last.
    for (let accepted = 1; accepted <= 3; accepted += 1) {
      const again = await opened("card");
      expect(again.stats()).toMatchObject({ epoch: own, accepted });
      await again.append([event("e")]);
      await closed(again);
    }
    // And where the store itself is damaged, what the mark cannot name is saved all the same.
    await rm(join(root, "card", "buffer", "CURRENT"));
    const saved = await opened("card");
    expect(saved.stats().lost.damage).toBe(0);
    expect((await places(saved)).slice(0, found.length)).toEqual(found);
  });

  test("a version that knows of no owners does not take it for its own", async () => {
    await used();
    await closedAfter(await opened("card", COPY));
    const { openStore, readMeta } = await import("./level-store.ts");
    const store = await openStore(join(root, "card", "buffer"), false);
    expect((await readMeta(store)).format).toBe(3);
    await store.close();
  });
});

async function closedAfter(buffer: LevelBuffer) {
  const stats = buffer.stats();
  await closed(buffer);
  return stats;
}
