/** Rebuilds: state made anew beside the live one, and switched to while the processors go on. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { EventLog, LogRecord, RebuildOptions, RebuildPlan, Topology } from "../port.ts";
import {
  all,
  type ConformanceHarness,
  type Counted,
  deferred,
  held,
  record,
  type Scene,
  scene,
  spec,
} from "./harness.ts";
import { type Names, planOf, sums } from "./sums.ts";

const KEYS = 40;

function names(s: Scene): Names {
  return {
    name: s.name("sums"),
    inputs: [s.topic("in")],
    output: s.topic("out"),
    changelog: s.topic("changelog"),
  };
}
async function make(log: EventLog, n: Names, partitions = 2): Promise<void> {
  await log.createTopics([
    ...n.inputs.map((topic) => spec(topic, partitions)),
    spec(n.output, partitions, "compact"),
    spec(n.changelog, partitions, "compact"),
  ]);
}

function batch(from: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, i) => record(`key-${(from + i) % KEYS}`, from + i));
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-rebuild-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "rebuild");
}

async function options(more: Partial<RebuildOptions> = {}): Promise<RebuildOptions> {
  const { signal } = new AbortController();
  const directory = more.directory ?? (await scratch());
  return { dryRun: false, minFreeBytes: 1, signal, onProgress: () => {}, ...more, directory };
}

/** What the view is to come to: of every input once. */
export async function expectSums(log: EventLog, n: Names, times: number): Promise<void> {
  const wanted = new Map<string, Pick<Counted, "count" | "sum">>();
  for (const one of await all(log.read(n.inputs[0] as string))) {
    if (one.key === null) continue;
    const { count, sum } = wanted.get(one.key) ?? { count: 0, sum: 0 };
    wanted.set(one.key, { count: count + 1, sum: sum + times * (held(one) as number) });
  }
  const found = new Map(
    [...(await log.latest(n.output))].map(([key, one]) => {
      const { count, sum } = held(one) as Counted;
      return [key, { count, sum }];
    }),
  );
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted));
}

async function processed(log: EventLog, topology: Topology) {
  const processor = log.process(topology);
  await processor.start();
  await processor.caughtUp();
  return processor;
}

export function rebuildTests(harness: ConformanceHarness): void {
  test("the same code over the same history changes and emits nothing", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 500));
    const processor = await processed(log, sums(n));
    const before = await all(log.read(n.output));
    const report = await log.rebuild(sums(n), planOf(sums(n)), await options());
    expect(report.map(({ changed, outputs }) => ({ changed, outputs }))).toEqual([
      { changed: 0, outputs: {} },
      { changed: 0, outputs: {} },
    ]);
    expect(report.reduce((sum, { records }) => sum + records, 0)).toBe(500);
    await log.append(n.inputs[0] as string, batch(500, 100));
    await processor.caughtUp();
    await expectSums(log, n, 1);
    expect((await all(log.read(n.output))).slice(0, before.length)).not.toHaveLength(0);
  });

  test("changed code takes over while records keep coming, and each counts once", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open({ commitRecords: 50 });
    await make(log, n);
    const input = n.inputs[0] as string;
    await log.append(input, batch(0, 2000));
    await (await processed(log, sums(n))).stop();
    const processor = await processed(log, sums(n, 3));
    let sent = 2000;
    const feeding = deferred();
    let over = false;
    const feed = (async () => {
      while (!over) {
        await log.append(input, batch(sent, 20));
        sent += 20;
        if (sent > 2100) feeding.resolve();
      }
    })();
    await feeding.promise;
    const report = await log.rebuild(sums(n, 3), planOf(sums(n, 3)), await options());
    over = true;
    await feed;
    expect(report.reduce((sum, { changed }) => sum + changed, 0)).toBeGreaterThanOrEqual(KEYS);
    await processor.caughtUp();
    await expectSums(log, n, 3);
    await log.append(input, batch(sent, 200));
    await processor.caughtUp();
    await expectSums(log, n, 3);
    // And after a restart: what was switched is what the state is.
    await processor.stop();
    await log.append(input, batch(sent + 200, 200));
    await processed(log, sums(n, 3));
    await expectSums(log, n, 3);
  });

  test("where nobody processes it is the same, and a large difference is one switch", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n, 1);
    await log.append(n.inputs[0] as string, batch(0, 400));
    await (await processed(log, sums(n))).stop();
    const large = sums(n, 2, 60_000);
    const [report] = await log.rebuild(large, planOf(large), await options());
    expect(report).toMatchObject({ changed: KEYS, outputs: { [n.output]: KEYS } });
    await expectSums(log, n, 2);
    await log.append(n.inputs[0] as string, batch(400, 100));
    await processed(log, sums(n, 2));
    await expectSums(log, n, 2);
  });

  test("keys that are no more are deleted, from the state and from the topic", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 200));
    const processor = await processed(log, sums(n));
    const fewer: Topology = {
      ...sums(n),
      step: (state, input) =>
        input.kind === "record" && input.record.key?.endsWith("7")
          ? { state: [], outputs: [] }
          : sums(n).step(state, input),
    };
    await log.rebuild(fewer, planOf(fewer), await options());
    const keys = [...(await log.latest(n.output)).keys()];
    expect(keys.filter((key) => key.endsWith("7"))).toEqual([]);
    expect(keys).toHaveLength(KEYS - KEYS / 10);
    await log.append(n.inputs[0] as string, [record("key-7", 5)]);
    await processor.caughtUp();
    const [one] = [(await log.latest(n.output)).get("key-7")];
    expect(one && held(one)).toMatchObject({ count: 1, sum: 5 });
  });

  test("a dry run counts the same and writes nothing", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 300));
    const processor = await processed(log, sums(n));
    const directory = await scratch();
    const dry = await options({ dryRun: true, directory });
    const report = await log.rebuild(sums(n, 2), planOf(sums(n, 2)), dry);
    expect(report.reduce((sum, { changed }) => sum + changed, 0)).toBe(KEYS);
    expect(existsSync(directory)).toBe(false);
    await log.append(n.inputs[0] as string, batch(300, 50));
    await processor.caughtUp();
    await expectSums(log, n, 1);
  });

  test("from a time on only what was sent since is replayed", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n, 1);
    await log.append(n.inputs[0] as string, batch(0, 100));
    const end = (await all(log.read(n.inputs[0] as string))).at(-1)?.timestamp ?? 0;
    while (Date.now() <= end + 1) await new Promise((resolve) => setTimeout(resolve, 1));
    await log.append(n.inputs[0] as string, batch(100, 40));
    await processed(log, sums(n));
    const dry = await options({ dryRun: true, from: end + 1 });
    const [report] = await log.rebuild(sums(n), planOf(sums(n)), dry);
    expect(report).toMatchObject({ records: 40, first: { offset: 100 }, changed: KEYS });
  });

  test("one that is given up switches nothing and leaves nothing", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 400));
    const processor = await processed(log, sums(n));
    const directory = await scratch();
    for (const phase of ["replay", "switch"] as const) {
      const abort = new AbortController();
      const given = await options({
        directory,
        signal: abort.signal,
        onProgress: (progress) => {
          if (progress.phase === phase) abort.abort(new Error("given up"));
        },
      });
      const running = log.rebuild(sums(n, 2), stuck(planOf(sums(n, 2)), abort), given);
      await expect(running).rejects.toThrow("given up");
      expect(existsSync(directory)).toBe(false);
    }
    await log.append(n.inputs[0] as string, batch(400, 50));
    await processor.caughtUp();
    await expectSums(log, n, 1);
  });

  test("two at once: one has the directory, and with two each switches in its turn", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 400));
    const processor = await processed(log, sums(n));
    const directory = await scratch();
    const first = log.rebuild(sums(n, 2), planOf(sums(n, 2)), await options({ directory }));
    const second = log.rebuild(sums(n, 2), planOf(sums(n, 2)), await options({ directory }));
    const third = log.rebuild(sums(n, 2), planOf(sums(n, 2)), await options());
    const ended = await Promise.allSettled([first, second, third]);
    const refused = ended.filter((one) => one.status === "rejected");
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toMatchObject({ code: "in_use" });
    await expectSums(log, n, 2);
    await processor.stop();
    await log.append(n.inputs[0] as string, batch(400, 50));
    await processed(log, sums(n, 2));
    await expectSums(log, n, 2);
  });

  test("what is missing, what has no room and what cannot be replayed is told, and nothing changes", async () => {
    const s = await scene(harness);
    const n = names(s);
    const log = await s.open();
    const missing = log.rebuild(sums(n), planOf(sums(n)), await options());
    await expect(missing).rejects.toMatchObject({ code: "unknown_topic" });
    await make(log, n);
    await log.append(n.inputs[0] as string, batch(0, 100));
    const processor = await processed(log, sums(n));
    const none = await options({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    const full = log.rebuild(sums(n, 2), planOf(sums(n, 2)), none);
    await expect(full).rejects.toMatchObject({ code: "storage" });
    expect(existsSync(none.directory)).toBe(false);
    const broken: Topology = {
      ...sums(n, 2),
      step: () => {
        throw new Error("planted: a bug in the step");
      },
    };
    const failing = log.rebuild(broken, planOf(broken), await options());
    await expect(failing).rejects.toMatchObject({ code: "invalid" });
    await log.append(n.inputs[0] as string, batch(100, 50));
    await processor.caughtUp();
    await expectSums(log, n, 1);
  });
}

/** Does not come to the end of its switch before it is given up. */
function stuck(plan: RebuildPlan, abort: AbortController): RebuildPlan {
  return {
    ...plan,
    exchange: (states) => {
      abort.abort(new Error("given up"));
      return plan.exchange(states);
    },
  };
}
