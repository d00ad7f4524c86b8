/** Processors over restarts and crashes: each input's effect on state and outputs exactly once. */
import { expect, test } from "vitest";
import type { StoredRecord } from "../port.ts";
import {
  all,
  type ConformanceHarness,
  counting,
  deferred,
  expectCountedOnce,
  held,
  record,
  type Scene,
  scene,
  spec,
} from "./harness.ts";

function names(s: Scene) {
  return {
    name: s.name("count"),
    inputs: [s.topic("in")],
    output: s.topic("out"),
    changelog: s.topic("changelog"),
  };
}

function specs(n: ReturnType<typeof names>, partitions: number) {
  return [
    ...n.inputs.map((topic) => spec(topic, partitions)),
    spec(n.output, partitions),
    spec(n.changelog, partitions, "compact"),
  ];
}

export function restartTests(harness: ConformanceHarness): void {
  test("state and position are there again after a restart", async () => {
    const s = await scene(harness);
    const n = names(s);
    for (let round = 0; round < 3; round++) {
      const log = await s.open({ commitRecords: 6 });
      await log.createTopics(specs(n, 2));
      const processor = log.process(counting(n));
      await processor.start();
      await log.append(
        n.inputs[0] as string,
        Array.from({ length: 20 }, (_, i) => record(`key-${i % 5}`, round * 20 + i)),
      );
      await processor.caughtUp();
      expect(processor.status().recordsProcessed).toBe(20);
      await expectCountedOnce(log, n.inputs, n.output);
      await s.close(log);
    }
    const log = await s.open();
    expect(await all(log.read(n.output))).toHaveLength(60);
  });

  test("a processor cut off in the middle again and again loses and doubles nothing", async () => {
    const s = await scene(harness);
    const n = names(s);
    const first = await s.open();
    await first.createTopics(specs(n, 3));
    await first.append(
      n.inputs[0] as string,
      Array.from({ length: 300 }, (_, i) => record(`key-${i % 17}`, i)),
    );
    await s.close(first);
    // Cut off after this many steps of a run, which falls between commits as well as inside of them.
    for (const [round, after] of [1, 10, 33, 50, 75].entries()) {
      const log = await s.open({ commitRecords: 10 });
      let steps = 0;
      const enough = deferred();
      const processor = log.process(
        counting(n, () => {
          if (++steps === after) enough.resolve();
        }),
      );
      await processor.start();
      await enough.promise;
      await (round % 2 ? s.close(log) : s.crash(log));
    }
    const last = await s.open({ commitRecords: 10 });
    const processor = last.process(counting(n));
    await processor.start();
    await processor.caughtUp();
    await expectCountedOnce(last, n.inputs, n.output);
    expect(await all(last.read(n.output))).toHaveLength(300);
  });

  test("a step that throws in the middle leaves what a restart needs to go on exactly there", async () => {
    const s = await scene(harness);
    const n = names(s);
    const first = await s.open();
    await first.createTopics(specs(n, 1));
    await first.append(
      n.inputs[0] as string,
      Array.from({ length: 60 }, (_, i) => record(`key-${i % 3}`, i)),
    );
    await s.close(first);
    for (const broken of [3, 4, 29, 55]) {
      const log = await s.open({ commitRecords: 10 });
      const failing = log.process(
        counting(n, (seen) => {
          if (held(seen) === broken) throw new Error("planted: a bug in the step");
        }),
      );
      await failing.start();
      await expect(failing.caughtUp()).rejects.toThrow("planted");
      const outs = await all(log.read(n.output));
      expect(outs.length).toBeLessThanOrEqual(broken);
      await s.crash(log);
    }
    const last = await s.open({ commitRecords: 10 });
    const processor = last.process(counting(n));
    await processor.start();
    await processor.caughtUp();
    await expectCountedOnce(last, n.inputs, n.output);
  });

  test("a reader of the outputs never sees a part of a commit", async () => {
    const s = await scene(harness);
    const n = names(s);
    const other = s.topic("other");
    const log = await s.open({ commitRecords: 5 });
    await log.createTopics([...specs(n, 1), spec(other)]);
    // Two outputs for each input, to two topics: what is committed of one is committed of the other.
    const count = counting(n);
    const processor = log.process({
      ...count,
      outputs: [...count.outputs, { topic: other, coalesce: false }],
      step(state, input) {
        const result = count.step(state, input);
        return {
          state: result.state,
          outputs: result.outputs.flatMap((out) => [{ ...out, topic: other }, out]),
        };
      },
    });
    const seen: StoredRecord[] = [];
    const faults: string[] = [];
    const done = deferred();
    const tail = log.tail([n.output], {
      from: "start",
      async onRecords(records) {
        seen.push(...records);
        const there = new Set((await all(log.read(other))).map((one) => one.headers.ce_id));
        for (const one of records) {
          const id = one.headers.ce_id ?? "none";
          if (!there.has(id)) faults.push(`${id} stands in one output topic and not in the other`);
        }
        if (seen.length >= 100) done.resolve();
      },
    });
    await tail.start();
    await processor.start();
    for (let i = 0; i < 10; i++) {
      await log.append(
        n.inputs[0] as string,
        Array.from({ length: 10 }, (_, j) => record("a", i * 10 + j)),
      );
    }
    await done.promise;
    expect(faults).toEqual([]);
    expect(seen).toHaveLength(100);
  });
}
