/**
 * Cards that are copied, moved and cut off at any moment, over the code that a gateway starts with: no place of any journal is
 * ever given to two readings. Each copy lives on boards of its own; one that is put into a board on which another one of them
 * goes on cannot be told from it, as docs/identity.md says.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import { type Boards, firstBoards, settle } from "./boards.core.ts";
import { event, STAMP } from "./buffer/conformance.ts";
import { GroupCommitBuffer } from "./buffer/group-commit-buffer.ts";
import { type MemoryDisk, MemoryStorage, memoryDisk } from "./buffer/memory-storage.ts";
import { hashed } from "./hardware.ts";

const PLANT = "plant-7" as GatewayId;
const SALT = "00112233445566778899aabbccddeeff";
const BOARDS_EACH = 3;

/** Where the power goes during a start: nowhere, behind the table of boards, between the store and its mark. */
const CUTS = ["never", "after the table", "before the mark"] as const;
type Cut = (typeof CUTS)[number];

interface Card {
  disk: MemoryDisk;
  table: Boards | undefined;
  readonly lineage: number;
}

interface World {
  readonly cards: Card[];
  /** By place in a journal. */
  readonly accepted: Map<string, string>;
  epochs: number;
  readings: number;
}

/** A bug to plant: that what is on other hardware does not show. */
interface Planted {
  readonly sameOwner?: boolean;
}

class CutStorage extends MemoryStorage {
  cut: Cut = "never";
  protected override async between(): Promise<void> {
    if (this.cut === "before the mark") throw new Error("the power is gone");
  }
}

async function start(world: World, card: Card, board: number, cut: Cut, planted: Planted) {
  const now = hashed({ serial: [`board ${card.lineage} ${board % BOARDS_EACH}`] }, SALT);
  const table = card.table ?? firstBoards(PLANT, SALT, now);
  const settled = settle(table, now, { wanted: undefined, onNewHardware: "suffix" });
  if (!settled) throw new Error("refused");
  card.table = settled.boards;
  if (cut === "after the table") return;
  const newEpoch = () => {
    world.epochs += 1;
    return makeEpoch(Uint8Array.from({ length: 10 }, (_, i) => (world.epochs >> (5 * i)) & 31));
  };
  const owner = planted.sameOwner ? undefined : settled.owner;
  const options = { firstEpoch: newEpoch(), makeEpoch: newEpoch, owner, origin: PLANT };
  const storage = new CutStorage({ ...options, stamp: () => STAMP }, card.disk);
  storage.cut = cut;
  const buffer = new GroupCommitBuffer({
    ...{ storage, capacityBytes: 1e9, policy: "refuse", freeFloorBytes: 0, commitWindowMs: 0 },
    stamp: () => STAMP,
  });
  try {
    await buffer.start();
  } catch {
    return;
  }
  world.readings += 1;
  const text = `reading ${world.readings}`;
  const { to } = await buffer.append([event(text)]);
  const place = `${owner?.gateway ?? PLANT} ${buffer.stats().epoch}-${to}`;
  expect(world.accepted.get(place), `${place} was given to two readings`).toBeUndefined();
  world.accepted.set(place, text);
  // What goes out is what was accepted, and under the same id.
  const sent = await buffer.read(0, { events: 10_000, bytes: Number.POSITIVE_INFINITY });
  for (const { gateway, epoch, sequence, type, value } of sent) {
    if (type !== "tidegate.reading") continue;
    const known = world.accepted.get(`${gateway ?? PLANT} ${epoch}-${sequence}`);
    expect(known && Buffer.from(event(known).value)).toEqual(Buffer.from(value));
  }
  await storage.cutPower();
}

function copied(card: Card, lineage: number): Card {
  const { groups, notes, ...rest } = card.disk;
  const disk = { ...rest, groups: new Map(groups), notes: new Map(notes), undo: [] };
  return { disk, table: card.table, lineage };
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constant("start"), fc.nat(9), fc.nat(9), fc.constantFrom(...CUTS)),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant("copy"), fc.nat(9), fc.nat(9), fc.constant("never" as const)),
  },
);

async function live(
  steps: readonly (readonly [string, number, number, Cut])[],
  planted: Planted = {},
): Promise<void> {
  const first: Card = { disk: memoryDisk(), table: undefined, lineage: 0 };
  const world: World = { cards: [first], accepted: new Map(), epochs: 0, readings: 0 };
  await start(world, first, 0, "never", planted);
  for (const [what, which, board, cut] of steps) {
    const card = world.cards[which % world.cards.length] ?? first;
    if (what === "copy") world.cards.push(copied(card, world.cards.length));
    else await start(world, card, board, cut, planted);
  }
}

test("no place is given to two readings, and what was accepted goes out under its own id", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => live(steps)),
    { numRuns: 150 },
  );
});

test("a copy that does not see its hardware is found out", async () => {
  const steps = [
    ["copy", 0, 0, "never"],
    ["start", 0, 0, "never"],
    ["start", 1, 0, "never"],
  ] as const;
  await expect(live(steps, { sameOwner: true })).rejects.toThrow(/two readings/);
  await live(steps);
});
