/** Processors: state by partition, several inputs, coalesced outputs, tombstones, steps that throw. */
import { expect, test, vi } from "vitest";
import type { EventLog, StateView, StepResult, StoredRecord, Topology } from "../port.ts";
import {
  all,
  type ConformanceHarness,
  counting,
  expectCountedOnce,
  held,
  keysOf,
  outputOf,
  record,
  type Scene,
  scene,
  spec,
} from "./harness.ts";

function names(s: Scene, topology: string, inputs: readonly string[] = ["in"]) {
  return {
    name: s.name(topology),
    inputs: inputs.map((input) => s.topic(input)),
    output: s.topic(`${topology}-out`),
    changelog: s.topic(`${topology}-changelog`),
  };
}

async function make(
  log: EventLog,
  partitions: number,
  ...topologies: ReturnType<typeof names>[]
): Promise<void> {
  for (const one of topologies) {
    await log.createTopics([
      ...one.inputs.map((topic) => spec(topic, partitions)),
      spec(one.output, partitions),
      spec(one.changelog, partitions, "compact"),
    ]);
  }
}

/** A topology over one input whose step sees the record and the state. */
function topology(
  n: ReturnType<typeof names>,
  coalesce: boolean,
  step: (state: StateView, seen: StoredRecord) => StepResult,
): Topology {
  return {
    name: n.name,
    inputs: n.inputs,
    outputs: [{ topic: n.output, coalesce }],
    changelog: n.changelog,
    listed: ["dev/"],
    step: (state, input) =>
      input.kind === "tick" ? { state: [], outputs: [] } : step(state, input.record),
  };
}

export function processorTests(harness: ConformanceHarness): void {
  test("every input counts once, in order, and what comes later too", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 7 });
    const n = names(s, "count");
    await make(log, 3, n);
    const append = (from: number, to: number) =>
      log.append(
        n.inputs[0] as string,
        Array.from({ length: to - from }, (_, i) => record(`key-${(from + i) % 10}`, from + i)),
      );
    await append(0, 60);
    const processor = log.process(counting(n));
    expect(processor.status().state).toBe("stopped");
    await processor.start();
    await processor.caughtUp();
    await expectCountedOnce(log, n.inputs, n.output);
    await append(60, 90);
    await processor.caughtUp();
    await expectCountedOnce(log, n.inputs, n.output);
    const status = processor.status();
    expect(status).toMatchObject({ state: "running", recordsProcessed: 90 });
    expect(status.commits).toBeGreaterThanOrEqual(90 / 7);
    for (const range of await log.ranges(n.inputs[0] as string)) {
      const at = status.partitions.find((one) => one.partition === range.partition);
      expect(at).toMatchObject({ topic: range.topic, position: range.end, end: range.end });
    }
    await processor.stop();
    expect(processor.status().state).toBe("stopped");
  });

  test("how far it is behind can be asked, whether it runs or not", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const n = names(s, "behind", ["in", "other"]);
    await make(log, 3, n);
    const topology = counting(n);
    const append = (input: number, count: number) =>
      log.append(
        n.inputs[input] as string,
        Array.from({ length: count }, (_, i) => record(`key-${i}`, i)),
      );
    expect(await log.behind(topology)).toBe(0);
    await append(0, 20);
    await append(1, 5);
    expect(await log.behind(topology)).toBe(25);
    const processor = log.process(topology);
    await processor.start();
    await processor.caughtUp();
    // A commit of just now may not be counted for a moment.
    await expect.poll(() => log.behind(topology)).toBe(0);
    await processor.stop();
    await append(1, 3);
    expect(await log.behind(topology)).toBe(3);
    const unmade = { ...topology, inputs: [s.topic("nobody-made-it")] };
    await expect(log.behind(unmade)).rejects.toMatchObject({ code: "unknown_topic" });
  });

  test("outputs are CloudEvents of the topology, in the partition of their key", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const n = names(s, "shape");
    await make(log, 2, n);
    await log.append(n.inputs[0] as string, [record("a", 5)]);
    const processor = log.process(counting(n));
    await processor.start();
    await processor.caughtUp();
    const [out] = await all(log.read(n.output));
    expect(out?.key).toBe("a");
    expect(out?.headers).toEqual({
      ce_specversion: "1.0",
      ce_id: expect.stringContaining(`${n.inputs[0]}/`),
      ce_source: `/processors/${n.name}`,
      ce_type: "tidegate.device",
      ce_time: new Date(1_700_000_000_000).toISOString(),
      "content-type": "application/cbor",
    });
    expect(out && held(out)).toEqual({ key: "a", count: 1, sum: 5 });
  });

  test("each partition has its own state", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const n = names(s, "own");
    await make(log, 2, n);
    const [zero = ""] = keysOf(0, 2, 1);
    const [one = ""] = keysOf(1, 2, 1);
    await log.append(n.inputs[0] as string, [
      ...Array.from({ length: 3 }, () => record(zero, 1)),
      ...Array.from({ length: 5 }, () => record(one, 1)),
    ]);
    // Both partitions count under the same state key.
    const processor = log.process(
      topology(n, false, (state, seen) => {
        const count = ((state.get("count") as number | undefined) ?? 0) + 1;
        const id = `${seen.partition}-${seen.offset}`;
        return {
          state: [["count", count]],
          outputs: [outputOf(n.output, seen.key ?? "", id, count)],
        };
      }),
    );
    await processor.start();
    await processor.caughtUp();
    const outs = await all(log.read(n.output));
    expect(outs.filter((out) => out.key === zero).map(held)).toEqual([1, 2, 3]);
    expect(outs.filter((out) => out.key === one).map(held)).toEqual([1, 2, 3, 4, 5]);
  });

  test("inputs that are partitioned alike share the state of a key", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 5 });
    const n = names(s, "join", ["left", "right"]);
    await make(log, 3, n);
    const keys = Array.from({ length: 8 }, (_, i) => `key-${i}`);
    const processor = log.process(counting(n));
    await processor.start();
    for (let round = 0; round < 4; round++) {
      for (const topic of n.inputs) {
        await log.append(
          topic,
          keys.map((key, i) => record(key, round * 100 + i)),
        );
      }
    }
    await processor.caughtUp();
    await expectCountedOnce(log, n.inputs, n.output);
    const latest = await log.latest(n.output);
    for (const key of keys) {
      const last = latest.get(key);
      expect(last && held(last)).toMatchObject({ key, count: 8 });
    }
    const read = processor.status().partitions.map((one) => `${one.topic}/${one.partition}`);
    expect(read.toSorted()).toEqual(
      n.inputs.flatMap((topic) => [0, 1, 2].map((partition) => `${topic}/${partition}`)).toSorted(),
    );
  });

  test("of a coalesced output at least the last of each key is written", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 20 });
    const n = names(s, "coalesce");
    await make(log, 2, n);
    await log.append(
      n.inputs[0] as string,
      Array.from({ length: 200 }, (_, i) => record(`key-${i % 3}`, i)),
    );
    const count = counting(n);
    const processor = log.process({ ...count, outputs: [{ topic: n.output, coalesce: true }] });
    await processor.start();
    await processor.caughtUp();
    const outs = await all(log.read(n.output));
    expect(outs.length).toBeLessThan(200);
    const latest = await log.latest(n.output);
    for (const [i, wanted] of [67, 67, 66].entries()) {
      const last = latest.get(`key-${i}`);
      expect(last && held(last)).toMatchObject({ key: `key-${i}`, count: wanted });
    }
    // What is written is in order: counts only grow.
    for (const key of ["key-0", "key-1", "key-2"]) {
      const counts = outs
        .filter((out) => out.key === key)
        .map((out) => (held(out) as { count: number }).count);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    }
  });

  test("a null event is a tombstone, an undefined state is gone", async () => {
    const s = await scene(harness);
    const n = names(s, "delete");
    const step = (state: StateView, seen: StoredRecord): StepResult => {
      const key = seen.key ?? "";
      const id = `${seen.partition}-${seen.offset}`;
      if (seen.value === null) {
        return { state: [[key, undefined]], outputs: [outputOf(n.output, key, id, null)] };
      }
      const before = state.get(key) ?? "nothing";
      return {
        state: [
          [key, "overwritten by the next entry"],
          [key, held(seen)],
        ],
        outputs: [outputOf(n.output, key, id, before)],
      };
    };
    const run = async (records: readonly ReturnType<typeof record>[]) => {
      const log = await s.open();
      await make(log, 1, n);
      await log.append(n.inputs[0] as string, records);
      const processor = log.process(topology(n, false, step));
      await processor.start();
      await processor.caughtUp();
      const outs = (await all(log.read(n.output))).map(held);
      const latest = [...(await log.latest(n.output)).keys()].toSorted();
      await s.close(log);
      return { outs, latest };
    };
    const first = await run([record("a", 1), record("b", 1), record("a", 2), record("a", null)]);
    expect(first).toEqual({ outs: ["nothing", "nothing", 1, undefined], latest: ["b"] });
    // Deleted stays deleted over a restart, kept stays kept.
    const second = await run([record("a", 3), record("b", 3)]);
    expect(second).toEqual({
      outs: ["nothing", "nothing", 1, undefined, "nothing", 1],
      latest: ["a", "b"],
    });
  });

  test("entries() has a prefix's keys in order, changes of the running commit included", async () => {
    const s = await scene(harness);
    const n = names(s, "entries");
    const step = (state: StateView, seen: StoredRecord): StepResult => ({
      state: [
        [`dev/${seen.key}`, held(seen)],
        ["dew", 1],
        ["dev", 1],
        ["dev0", 1],
      ],
      outputs: [
        outputOf(n.output, "all", `${seen.partition}-${seen.offset}`, [...state.entries("dev/")]),
      ],
    });
    const run = async (records: readonly ReturnType<typeof record>[]) => {
      const log = await s.open();
      await make(log, 1, n);
      await log.append(n.inputs[0] as string, records);
      const processor = log.process(topology(n, false, step));
      await processor.start();
      await processor.caughtUp();
      const outs = (await all(log.read(n.output))).map(held);
      await s.close(log);
      return outs;
    };
    // A tombstone holds undefined, so its state is deleted.
    const first = await run([
      record("m", 1),
      record("b", 2),
      record("z", 3),
      record("m", null),
      record("a", 4),
    ]);
    expect(first).toEqual([
      [],
      [["dev/m", 1]],
      [
        ["dev/b", 2],
        ["dev/m", 1],
      ],
      [
        ["dev/b", 2],
        ["dev/m", 1],
        ["dev/z", 3],
      ],
      [
        ["dev/b", 2],
        ["dev/z", 3],
      ],
    ]);
    const second = await run([record("q", 5), record("b", 6), record("q", 7)]);
    expect(second.slice(5)).toEqual([
      [
        ["dev/a", 4],
        ["dev/b", 2],
        ["dev/z", 3],
      ],
      [
        ["dev/a", 4],
        ["dev/b", 2],
        ["dev/q", 5],
        ["dev/z", 3],
      ],
      [
        ["dev/a", 4],
        ["dev/b", 6],
        ["dev/q", 5],
        ["dev/z", 3],
      ],
    ]);
  });

  test("a step that throws fails its processor alone, and nothing of its batch is committed", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 10 });
    const bad = names(s, "bad");
    const good = names(s, "good");
    await make(log, 1, bad, good);
    await log.append(
      bad.inputs[0] as string,
      Array.from({ length: 40 }, (_, i) => record("a", i)),
    );
    const failing = log.process(
      counting(bad, (seen) => {
        if (held(seen) === 25) throw new Error("planted: a bug in the step");
      }),
    );
    const working = log.process(counting(good));
    await failing.start();
    await working.start();
    await expect(failing.caughtUp()).rejects.toThrow("planted");
    expect(failing.status()).toMatchObject({ state: "failed" });
    expect(failing.status().lastError).toContain("planted");
    await working.caughtUp();
    await expectCountedOnce(log, good.inputs, good.output);
    // What it committed before is a prefix of the input, in whole commits.
    const committed = (await all(log.read(bad.output))).map(held) as { count: number }[];
    expect(committed.length).toBeLessThanOrEqual(25);
    expect(committed.map((one) => one.count)).toEqual(committed.map((_, i) => i + 1));
    expect(failing.status().recordsProcessed).toBe(committed.length);
    // It stays failed, without eating the input over and over.
    await expect(failing.caughtUp()).rejects.toThrow("planted");
    await failing.stop();
    // Corrected and started again it goes on where it was.
    const corrected = log.process(counting(bad));
    await corrected.start();
    await corrected.caughtUp();
    await expectCountedOnce(log, bad.inputs, bad.output);
  });

  test("an output to a topic that the topology does not name is a bug of the step's", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const n = names(s, "stray");
    await make(log, 1, n);
    await log.createTopics([spec(s.topic("elsewhere"))]);
    await log.append(n.inputs[0] as string, [record("a", 1)]);
    const processor = log.process(
      topology(n, false, () => ({
        state: [],
        outputs: [outputOf(s.topic("elsewhere"), "a", "1", 1)],
      })),
    );
    await processor.start();
    await expect(processor.caughtUp()).rejects.toThrow("elsewhere");
    expect(processor.status().state).toBe("failed");
    expect(await all(log.read(s.topic("elsewhere")))).toEqual([]);
  });

  test("a new name begins at the start and makes the same outputs", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 9 });
    const one = names(s, "one");
    const two = names(s, "two");
    await make(log, 2, one, two);
    await log.append(
      one.inputs[0] as string,
      Array.from({ length: 50 }, (_, i) => record(`key-${i % 4}`, i)),
    );
    const outputs: unknown[] = [];
    for (const n of [one, two]) {
      const processor = log.process(counting(n));
      await processor.start();
      await processor.caughtUp();
      await processor.stop();
      outputs.push(
        (await all(log.read(n.output)))
          .map((out) => [out.partition, out.key, out.headers.ce_id, held(out)])
          .toSorted((a, b) => Number(a[0]) - Number(b[0])),
      );
    }
    expect(outputs[1]).toEqual(outputs[0]);
    expect(outputs[0]).toHaveLength(50);
  });

  test("one topology's output is another's input", async () => {
    const s = await scene(harness);
    const log = await s.open({ commitRecords: 8 });
    const first = names(s, "first");
    const second = { ...names(s, "second"), inputs: [first.output] };
    await make(log, 2, first);
    await make(log, 2, second);
    const seen: string[] = [];
    const downstream = log.process(
      topology(second, false, (_state, input) => {
        seen.push(input.headers.ce_id ?? "");
        return { state: [], outputs: [] };
      }),
    );
    await downstream.start();
    const upstream = log.process(counting(first));
    await upstream.start();
    await log.append(
      first.inputs[0] as string,
      Array.from({ length: 40 }, (_, i) => record(`key-${i % 4}`, i)),
    );
    await upstream.caughtUp();
    await downstream.caughtUp();
    expect(seen.toSorted()).toEqual(
      (await all(log.read(first.output))).map((out) => out.headers.ce_id ?? "").toSorted(),
    );
    expect(seen).toHaveLength(40);
  });

  test("caughtUp() can be aborted, and says `closed` once the processor is stopped", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const n = names(s, "idle");
    await make(log, 1, n);
    const processor = log.process(counting(n));
    await expect(processor.caughtUp()).rejects.toMatchObject({ code: "closed" });
    await processor.start();
    await processor.start();
    await vi.waitFor(() => expect(processor.status().state).toBe("running"), { timeout: 10_000 });
    await expect(processor.caughtUp(AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
    await processor.caughtUp();
    await processor.stop();
    await processor.stop();
    await expect(processor.caughtUp()).rejects.toMatchObject({ code: "closed" });
  });
}
