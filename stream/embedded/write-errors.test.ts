/**
 * Fails the Nth write of a whole run for N = 1, 2, 3 … until the run passes untouched, once as a write that did
 * nothing and once as one that reached the disk and still failed: nothing may be lost or count twice.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import {
  all,
  counting,
  deferred,
  expectCountedOnce,
  held,
  journal,
  record,
  spec,
} from "../conformance/harness.ts";
import { batches, ScriptedSource } from "../conformance/sinks.ts";
import type { LevelOpener } from "./database.ts";
import { openLevel } from "./database.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";

type Fault = "before" | "after";

/** An opener whose databases together fail their Nth batch, and that counts the databases opened. */
function failing(nth: number, fault: Fault) {
  const seen = { writes: 0, opened: 0, handles: new Set<unknown>() };
  const opener: LevelOpener = async (location, create) => {
    const level = await openLevel(location, create);
    seen.opened++;
    const batch = level.batch.bind(level) as () => ReturnType<typeof level.batch>;
    level.batch = (() => {
      const made = batch();
      const write = made.write.bind(made);
      const failingWrite = async (options?: { sync?: boolean | undefined }) => {
        expect(options).toEqual({ sync: true });
        seen.handles.add(level);
        if (++seen.writes !== nth) return write({ sync: true });
        if (fault === "after") await write({ sync: true });
        else await made.close();
        throw new Error("planted: no space left on device");
      };
      made.write = failingWrite as typeof made.write;
      return made;
    }) as typeof level.batch;
    return level;
  };
  return { opener, seen };
}

async function until<T>(what: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await what();
    } catch (error) {
      expect(error).toMatchObject({ code: "storage" });
      await setImmediate();
    }
  }
}

async function run(nth: number, fault: Fault): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  const { opener, seen } = failing(nth, fault);
  // Pauses at their shortest: the point is what happens after them.
  const log = new EmbeddedEventLog({
    directory,
    openLevel: opener,
    random: () => 0,
    commitRecords: 7,
  });
  try {
    await log.start();
    const n = { name: "count", inputs: ["events"], output: "out", changelog: "changelog" };
    await until(() =>
      log.createTopics([
        spec("events"),
        spec("out"),
        spec("changelog", 1, "compact"),
        spec("c", 1, "compact"),
      ]),
    );
    const source = new ScriptedSource(batches("events", "gw-a", "e000000001", 3, 10));
    const sink = log.sink(source);
    const processor = log.process(counting(n));
    await sink.start();
    await processor.start();
    await source.acknowledgements.reaches(3);
    await until(() => log.append("c", [record("a", 1), record("a", 2)]));
    await processor.caughtUp();
    expect(source.faults).toEqual([]);
    const stored = await all(log.read("events"));
    expect(stored.map(held)).toEqual(journal("gw-a", "e000000001", 1, 30).map((_, i) => i + 1));
    await expectCountedOnce(log, n.inputs, n.output);
    expect((await all(log.read("c"))).map(held)).toEqual([2]);
    const failed = seen.writes >= nth;
    expect(log.stats().recoveries).toBe(failed ? 1 : 0);
    expect(seen.opened).toBe(failed ? 2 : 1);
    expect(log.stats().bytes).toBeGreaterThan(0);
    return !failed;
  } finally {
    await log.stop();
    await rm(directory, { recursive: true });
  }
}

test.each(["before", "after"] as const)(
  "the Nth write failing %s it reached the disk loses and doubles nothing",
  { timeout: 60_000 },
  async (fault) => {
    let nth = 1;
    while (!(await run(nth, fault))) nth++;
    expect(nth).toBeGreaterThan(6);
  },
);

test("who waits for records is woken by those that a failed write has left all the same", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  const faults: Fault[] = [];
  const log = new EmbeddedEventLog({
    directory,
    random: () => 0,
    async openLevel(location, create) {
      const level = await openLevel(location, create);
      const batch = level.batch.bind(level) as () => ReturnType<typeof level.batch>;
      level.batch = (() => {
        const made = batch();
        const write = made.write.bind(made);
        made.write = (async () => {
          await write({ sync: true });
          if (faults.pop()) throw new Error("planted: it said that it failed");
        }) as typeof made.write;
        return made;
      }) as typeof level.batch;
      return level;
    },
  });
  try {
    await log.start();
    await log.createTopics([spec("events"), spec("out"), spec("changelog", 1, "compact")]);
    const n = { name: "count", inputs: ["events"], output: "out", changelog: "changelog" };
    const processor = log.process(counting(n));
    await processor.start();
    const seen = deferred();
    const tail = log.tail(["events"], { from: "start", onRecords: () => seen.resolve() });
    await tail.start();
    await Promise.all([processor.caughtUp(), tail.caughtUp()]);
    // The append, and then the processor's commit.
    faults.push("after", "after");
    await expect(log.append("events", [record("a", 1)])).rejects.toMatchObject({ code: "storage" });
    // Nothing more is appended.
    await seen.promise;
    await processor.caughtUp();
    await vi.waitFor(() => expect(processor.status().state).toBe("running"));
    expect(log.stats().recoveries).toBe(2);
  } finally {
    await log.stop();
    await rm(directory, { recursive: true });
  }
});

test("while the store cannot be opened again, callers get `storage`, and readers wait for it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  const { opener } = failing(3, "before");
  const blocked = deferred();
  const asked = deferred();
  let opens = 0;
  const log = new EmbeddedEventLog({
    directory,
    random: () => 0,
    async openLevel(location, create) {
      if (++opens > 1) {
        asked.resolve();
        await blocked.promise;
      }
      return opener(location, create);
    },
  });
  try {
    await log.start();
    await log.createTopics([spec("t")]);
    await log.append("t", [record("a", 1)]);
    await expect(log.append("t", [record("a", 2)])).rejects.toMatchObject({
      code: "storage",
      message: expect.stringContaining("planted"),
    });
    await asked.promise;
    await expect(log.append("t", [record("a", 3)])).rejects.toMatchObject({ code: "storage" });
    const read = all(log.read("t"));
    blocked.resolve();
    expect((await read).map(held)).toEqual([1]);
    await log.append("t", [record("a", 4)]);
    expect((await all(log.read("t"))).map(held)).toEqual([1, 4]);
  } finally {
    blocked.resolve();
    await log.stop();
    await rm(directory, { recursive: true });
  }
});

test("a log whose store stays broken can be stopped, with all that waits for it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  const { opener } = failing(3, "before");
  const tried = deferred();
  let opens = 0;
  const log = new EmbeddedEventLog({
    directory,
    random: () => 0,
    openLevel(location, create) {
      if (++opens === 1) return opener(location, create);
      if (opens === 3) tried.resolve();
      return Promise.reject(new Error("planted: input/output error"));
    },
  });
  try {
    await log.start();
    await log.createTopics([spec("in"), spec("out"), spec("changelog", 1, "compact")]);
    await log.append("in", [record("a", 1)]);
    await expect(log.append("in", [record("a", 2)])).rejects.toMatchObject({ code: "storage" });
    const source = new ScriptedSource(batches("in", "gw-a", "e000000001", 1, 5));
    const sink = log.sink(source);
    await sink.start();
    const n = { name: "count", inputs: ["in"], output: "out", changelog: "changelog" };
    const processor = log.process(counting(n));
    await processor.start();
    const tail = log.tail(["in"], { from: "start", onRecords() {} });
    await tail.start();
    await tried.promise;
    expect(tail.status()).toMatchObject({
      state: "waiting",
      since: expect.any(Number),
      lastError: expect.stringContaining("planted"),
    });
    const reading = expect(all(log.read("in"))).rejects.toMatchObject({ code: "closed" });
    await log.stop();
    await reading;
    expect(source.acknowledgements.items).toEqual([]);
    expect([sink.status().state, processor.status().state]).toEqual(["stopped", "stopped"]);
  } finally {
    await log.stop();
    await rm(directory, { recursive: true });
  }
});
