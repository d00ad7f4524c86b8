import { expect, test } from "vitest";
import type { Change } from "../cloud/read-model/port.ts";
import {
  type ChangeKind,
  LiveQueue,
  MAX_DEVICES_PER_FRAME,
  MAX_WAITING_CHANGES,
  RecentChanges,
} from "./live.core.ts";

const device = (name: string, readings: number): Change => ({
  kind: "device",
  device: { gateway: "g", device: name, last_seen: 0, readings, metrics: {} },
});
const reading = (name: string, time: number): Change => ({
  kind: "reading",
  gateway: "g",
  device: name,
  time,
  metrics: { t: 1 },
});
const kinds = (...names: ChangeKind[]) => ({ kinds: new Set(names) });

test("states are coalesced to the newest, readings are all kept in order", () => {
  const queue = new LiveQueue(kinds("device", "reading"));
  queue.add([device("a", 1), reading("a", 1)], 1);
  queue.add([device("a", 2), reading("a", 2)], 2);
  expect(queue.take()).toEqual({
    changes: [reading("a", 1), reading("a", 2), device("a", 2)],
    otherDevices: 0,
    sequence: 2,
  });
  expect(queue.take()).toBeUndefined();
});

test("a filter lets only its kinds and devices through and counts the others when asked", () => {
  const queue = new LiveQueue({ ...kinds("device"), devices: new Set(["g/a"]), countOthers: true });
  queue.add([device("a", 1), device("b", 1), device("b", 2), reading("a", 1)], 1);
  expect(queue.take()).toEqual({ changes: [device("a", 1)], otherDevices: 1, sequence: 1 });

  const quiet = new LiveQueue({ ...kinds("device"), devices: new Set(["g/a"]) });
  quiet.add([device("b", 1)], 1);
  expect(quiet.empty).toBe(true);
});

test("a fleet larger than a frame is told over several, and the id moves only with the last", () => {
  const queue = new LiveQueue(kinds("device"));
  const fleet = Array.from({ length: MAX_DEVICES_PER_FRAME + 5 }, (_, i) => device(`d${i}`, 1));
  queue.add(fleet, 7);
  const first = queue.take();
  const second = queue.take();
  expect(first?.changes).toHaveLength(MAX_DEVICES_PER_FRAME);
  expect(first).not.toHaveProperty("sequence");
  expect(second?.changes).toHaveLength(5);
  expect(second?.sequence).toBe(7);
});

test("more readings than may wait overflow instead of growing", () => {
  const queue = new LiveQueue(kinds("reading"));
  for (let i = 0; i < MAX_WAITING_CHANGES; i++) queue.add([reading("a", i)], i);
  expect(queue.overflow).toBe(false);
  queue.add([reading("a", -1)], 0);
  expect(queue.overflow).toBe(true);
});

test("recent changes give what was missed, or say that they cannot", () => {
  const recent = new RecentChanges(4);
  expect(recent.since(0)).toEqual([]);
  for (let i = 1; i <= 3; i++) recent.push([device("a", i), device("b", i)]);
  expect(recent.last).toBe(3);
  expect(recent.since(3)).toEqual([]);
  expect(recent.since(1)?.map((batch) => batch.sequence)).toEqual([2, 3]);
  expect(recent.since(0)).toBeUndefined();
  expect(recent.since(4)).toBeUndefined();
});
