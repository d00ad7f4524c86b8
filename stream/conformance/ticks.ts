/** Ticks: time as records in the input, written only by a processor that is caught up, and replayed like any other. */
import { expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import type { StoredRecord, Topology, TopologyInput } from "../port.ts";
import {
  all,
  Collector,
  type ConformanceHarness,
  record,
  type Scene,
  scene,
  spec,
} from "./harness.ts";

const TICK_MS = 15;

/** Tells what it sees; keeps and puts out nothing. */
function watching(
  s: Scene,
  name: string,
  see: (input: TopologyInput) => void,
  tickMs: number | undefined = TICK_MS,
): Topology {
  return {
    name: s.name(name),
    inputs: [s.topic("in"), s.topic("also-in")],
    outputs: [],
    changelog: s.topic(`${name}-changelog`),
    ...(tickMs === undefined ? {} : { tickMs }),
    step(_state, input) {
      see(input);
      return { state: [], outputs: [] };
    },
  };
}

function specs(s: Scene, partitions: number, ...topologies: string[]) {
  return [
    spec(s.topic("in"), partitions),
    spec(s.topic("also-in"), partitions),
    ...topologies.map((name) => spec(s.topic(`${name}-changelog`), partitions, "compact")),
  ];
}

const isTick = (one: StoredRecord) => one.headers.ce_type === "tidegate.tick";
const ticksIn = (seen: readonly TopologyInput[]) => seen.filter((one) => one.kind === "tick");

/** An input in a form that two runs can be compared by. */
function plain(input: TopologyInput): unknown {
  return input.kind === "tick"
    ? { partition: input.partition, offset: input.offset, time: input.time }
    : { partition: input.record.partition, offset: input.record.offset, key: input.record.key };
}

export function tickTests(harness: ConformanceHarness): void {
  test("ticks come to every partition of the first input, and stand in it as ticks", async () => {
    const s = await scene(harness);
    const log = await s.open();
    await log.createTopics(specs(s, 2, "clock"));
    const before = Date.now();
    const seen = new Collector<TopologyInput>();
    const processor = log.process(watching(s, "clock", (input) => seen.add([input])));
    await processor.start();
    const of = (items: readonly TopologyInput[], partition: number) =>
      items.filter((one) => one.kind === "tick" && one.partition === partition);
    await seen.until((items) => of(items, 0).length >= 3 && of(items, 1).length >= 3);
    await processor.stop();
    const stored = await all(log.read(s.topic("in")));
    expect(stored.every(isTick)).toBe(true);
    expect(await all(log.read(s.topic("also-in")))).toEqual([]);
    for (const one of stored) {
      expect(one.key).toBeNull();
      expect(one.headers.ce_source).toMatch(/^\/processors\//);
      const { time } = decodeEvent("tidegate.tick", one.value ?? new Uint8Array());
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(Date.now());
    }
    for (const input of seen.items) {
      if (input.kind !== "tick") throw new Error("a tick was seen as a record");
      const same = stored.find(
        (one) => one.partition === input.partition && one.offset === input.offset,
      );
      expect(decodeEvent("tidegate.tick", same?.value ?? new Uint8Array()).time).toBe(input.time);
    }
  });

  test("no tick is written while there is a backlog", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 5 });
    await log.createTopics(specs(s, 1, "late"));
    for (const topic of [s.topic("in"), s.topic("also-in")]) {
      await log.append(
        topic,
        Array.from({ length: 200 }, (_, i) => record("a", i)),
      );
    }
    let lastRecordAt = 0;
    let records = 0;
    const seen = new Collector<TopologyInput>();
    const processor = log.process(
      watching(
        s,
        "late",
        (input) => {
          if (input.kind === "record") {
            records++;
            lastRecordAt = Date.now();
          }
          seen.add([input]);
        },
        1,
      ),
    );
    await processor.start();
    await seen.until((items) => ticksIn(items).length > 0);
    await processor.stop();
    expect(records).toBe(400);
    const [tick] = ticksIn(seen.items);
    expect(tick?.kind === "tick" && tick.time).toBeGreaterThanOrEqual(lastRecordAt);
    // And no time has passed for the topology while it was behind: the first tick comes after all records.
    expect(seen.items.findIndex((one) => one.kind === "tick")).toBe(400);
  });

  test("a later topology sees the same ticks among the same records", async () => {
    const s = await scene(harness);
    const log = await s.open();
    await log.createTopics(specs(s, 1, "first", "second", "third", "fourth"));
    const seen = new Collector<TopologyInput>();
    const first = log.process(watching(s, "first", (input) => seen.add([input])));
    await first.start();
    for (let i = 0; i < 4; i++) {
      const ticks = ticksIn(seen.items).length;
      await seen.until((items) => ticksIn(items).length > ticks);
      await log.append(s.topic("in"), [record("a", i), record("b", i)]);
    }
    await first.caughtUp();
    await first.stop();
    const replayed = new Collector<TopologyInput>();
    const second = log.process(watching(s, "second", (input) => replayed.add([input])));
    await second.start();
    await replayed.reaches(seen.items.length);
    await second.stop();
    expect(replayed.items.slice(0, seen.items.length).map(plain)).toEqual(seen.items.map(plain));
    // In another input than the first they are not this topology's time.
    const beside: TopologyInput[] = [];
    const turned = log.process({
      ...watching(s, "fourth", (input) => beside.push(input)),
      inputs: [s.topic("also-in"), s.topic("in")],
      tickMs: 3_600_000,
    });
    await turned.start();
    await turned.caughtUp();
    await turned.stop();
    const own = new Set((await all(log.read(s.topic("also-in")))).map((one) => one.offset));
    expect(beside.filter((one) => one.kind === "record")).toHaveLength(8);
    expect(ticksIn(beside).length).toBeLessThanOrEqual(own.size);
    // One that asks for no ticks sees the records alone.
    const without: TopologyInput[] = [];
    const step = watching(s, "third", (input) => without.push(input));
    const { tickMs: _none, ...tickless } = step;
    const third = log.process(tickless);
    await third.start();
    await third.caughtUp();
    expect(without.map(plain)).toEqual(
      seen.items.filter((one) => one.kind === "record").map(plain),
    );
    expect(without).toHaveLength(8);
  });

  test("a tick changes state and outputs like a record does", async () => {
    const s = await scene(harness);
    const out = s.topic("out");
    const log = await s.open();
    await log.createTopics([...specs(s, 1, "out"), spec(out, 1, "compact")]);
    const topology: Topology = {
      ...watching(s, "out", () => {}),
      outputs: [{ topic: out, coalesce: true }],
      step(state, input) {
        if (input.kind === "record") return { state: [["armed", true]], outputs: [] };
        if (!state.get("armed")) return { state: [], outputs: [] };
        return {
          state: [["armed", undefined]],
          outputs: [
            {
              topic: out,
              key: "timer",
              type: "tidegate.tick",
              id: `tick-${input.offset}`,
              time: input.time,
              event: { time: input.time },
            },
          ],
        };
      },
    };
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([out], { from: "start", onRecords: seen.add });
    await tail.start();
    const processor = log.process(topology);
    await processor.start();
    await log.append(s.topic("in"), [record("a", 1)]);
    await seen.reaches(1);
    expect(seen.items[0]).toMatchObject({ key: "timer" });
    await processor.stop();
  });
}
