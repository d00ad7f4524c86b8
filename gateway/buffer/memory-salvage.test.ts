/** The twin in memory does about damage what the buffer on LevelDB does (damage.test.ts): the same judge for both. */
import { expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { type Epoch, makeEpoch } from "../../events/ids.ts";
import { event } from "./conformance.ts";
import { GroupCommitBuffer } from "./group-commit-buffer.ts";
import { type MemoryDisk, MemoryStorage, memoryDisk } from "./memory-storage.ts";
import type { BufferedEvent } from "./port.ts";
import { type Acknowledged, ALL, hex, idOf, judge } from "./used-buffer.ts";

let made = 0;

function newEpoch(): Epoch {
  made += 1;
  return makeEpoch(Uint8Array.from({ length: 10 }, (_, i) => (made >> (5 * i)) & 31));
}

async function opened(disk: MemoryDisk): Promise<GroupCommitBuffer> {
  const stamp = () => ({ received: 1, clock: "synced", boot: "memory", uptime: 1 }) as const;
  const options = { firstEpoch: newEpoch(), makeEpoch: newEpoch, stamp };
  const buffer = new GroupCommitBuffer({
    storage: new MemoryStorage(options, disk),
    ...{ capacityBytes: 1e9, policy: "refuse", freeFloorBytes: 0, commitWindowMs: 0, stamp },
    limits: { idleReleaseMs: 0 },
  });
  await buffer.start();
  return buffer;
}

/** Twelve events in groups of up to four, the first three released. */
async function used() {
  const disk = memoryDisk();
  const buffer = await opened(disk);
  const { epoch } = buffer.stats();
  const acknowledged: Acknowledged = new Map();
  for (let sequence = 2, size = 1; sequence <= 12; sequence += size, size = (size % 4) + 1) {
    const group = Array.from({ length: size }, (_, i) => event(`device-${sequence + i}`));
    const { from } = await buffer.append(group);
    for (const [i, { value }] of group.entries()) {
      if (from + i > 3) acknowledged.set(idOf(epoch, from + i), hex(value));
    }
  }
  await buffer.release(3);
  await buffer.stop();
  return { disk, epoch, acknowledged };
}

async function contents(disk: MemoryDisk): Promise<readonly BufferedEvent[]> {
  const buffer = await opened(disk);
  const events = await buffer.read(0, ALL);
  await buffer.stop();
  return events;
}

function words({ epoch, sequence, value }: BufferedEvent): string {
  return `${idOf(epoch, sequence)} ${hex(value)}`;
}

function reasons(events: readonly BufferedEvent[]): readonly string[] {
  return events.flatMap(({ type, value }) =>
    type === "tidegate.epoch" ? [decodeEvent(type, value).reason] : [],
  );
}

test("[DAMAGE-3] any byte of any group: one record is lost, declared, and an epoch follows", async () => {
  const { disk: groups } = await used();
  const bytes = [...groups.groups.values()].reduce((sum, { length }) => sum + length, 0);
  for (let at = 0; at < bytes; at += 1) {
    const { disk, acknowledged } = await used();
    let left = at;
    for (const [first, group] of [...disk.groups].sort(([a], [b]) => a - b)) {
      if (left >= 0 && left < group.length) {
        const hurt = Buffer.from(group);
        hurt[left] = (hurt[left] as number) ^ 0x10;
        disk.groups.set(first, hurt);
      }
      left -= group.length;
    }
    const events = await contents(disk);
    const { present, declared } = judge(acknowledged, events);
    expect(present + declared).toBe(acknowledged.size);
    expect(declared).toBeLessThanOrEqual(1);
    expect(reasons(events)).toEqual(["salvage"]);
    // [DAMAGE-7]
    expect((await contents(disk)).map(words)).toEqual(events.map(words));
  }
});

test("[DAMAGE-3] what its last writes held is declared by what the mark says", async () => {
  const { disk, acknowledged } = await used();
  for (let i = 0; i < 3; i += 1) disk.undo.pop()?.();
  const events = await contents(disk);
  const { declared } = judge(acknowledged, events);
  expect(declared).toBeGreaterThan(0);
  expect(reasons(events)).toEqual(["salvage"]);
});

test("[DAMAGE-5] a store that is gone becomes no empty one", async () => {
  const { disk, acknowledged } = await used();
  Object.assign(disk, { ...memoryDisk(), mark: disk.mark, born: true });
  expect(judge(acknowledged, await contents(disk)).declared).toBe(acknowledged.size);
});

test.each([
  ["without its mark", "salvage", () => undefined],
  ["put back as a copy", "restored", (disk: MemoryDisk) => ({ ...disk.mark, copied: true })],
] as const)("[ORDER-3] a store %s is whole, and begins an epoch", async (_, reason, change) => {
  const { disk, epoch, acknowledged } = await used();
  disk.mark = change(disk) as typeof disk.mark;
  const events = await contents(disk);
  expect(judge(acknowledged, events).present).toBe(acknowledged.size);
  expect(reasons(events)).toEqual([reason]);
  expect(events.at(-1)?.epoch).not.toBe(epoch);
});
