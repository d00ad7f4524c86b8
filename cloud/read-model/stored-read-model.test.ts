import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { EmbeddedEventLog } from "../../stream/embedded/embedded-event-log.ts";
import {
  type EventLog,
  EventLogError,
  type StoredRecord,
  type Tail,
  type TailStatus,
} from "../../stream/port.ts";
import { journalTopicSpecs } from "../../stream/topic-specs.ts";
import { NAMES, NOON, TestJournal } from "../test-support/journal.ts";
import { SETTINGS } from "../test-support/pipeline.ts";
import { cloudTopicSpecs } from "../topics.ts";
import { readModelConformance } from "./conformance.ts";
import { LevelStore } from "./level-store.ts";
import { MemoryStore } from "./memory-store.ts";
import type { OrderedStore, StoreChanges } from "./store.ts";
import { StoredReadModel } from "./stored-read-model.ts";

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-read-model-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

readModelConformance("memory", () => new MemoryStore());
readModelConformance("LevelDB", () => new LevelStore({ directory: temporary() }));

const TOPICS = { partitions: 2, events_retention_days: 1 };
const series = {
  gateway: "gw-one",
  device: "a",
  metric: "t",
  from: 0,
  to: NOON * 2,
  limit: 10_000,
};

async function openLog(directory = temporary()): Promise<EventLog> {
  const log = new EmbeddedEventLog({ directory });
  await log.start();
  onTestFinished(() => log.stop());
  await log.createTopics(cloudTopicSpecs("test", TOPICS, SETTINGS));
  return log;
}

function model(log: EventLog, store: OrderedStore): StoredReadModel {
  const made = new StoredReadModel({
    store,
    namespace: "test",
    settings: SETTINGS.read_model,
    log,
    now: () => NOON,
  });
  onTestFinished(() => made.stop());
  return made;
}

const readings = (journal: TestJournal, count: number): StoredRecord[] =>
  Array.from({ length: count }, (_, i) => journal.reading("a", { t: i }));

async function append(log: EventLog, records: readonly StoredRecord[]): Promise<void> {
  await log.append(
    NAMES.events,
    records.map(({ key, headers, value }) => ({ key: key ?? "", headers, value })),
  );
}

test("it follows the log, goes on after a restart, and fills again when its directory is gone", async () => {
  const log = await openLog();
  const directory = temporary();
  const journal = new TestJournal();
  await append(log, readings(journal, 700));
  const first = model(log, new LevelStore({ directory }));
  await first.start();
  await first.start();
  await first.caughtUp();
  expect(await first.raw(series)).toHaveLength(700);
  await first.stop();
  await first.stop();
  await append(log, readings(journal, 50));
  const second = model(log, new LevelStore({ directory }));
  const applied: number[] = [];
  second.subscribe((changes) => applied.push(changes.filter((c) => c.kind === "reading").length));
  await second.start();
  await second.caughtUp();
  expect(await second.raw(series)).toHaveLength(750);
  expect(applied.reduce((a, b) => a + b)).toBe(50);
  await second.stop();
  rmSync(directory, { recursive: true });
  const third = model(log, new LevelStore({ directory }));
  await third.start();
  await third.caughtUp();
  expect(await third.raw(series)).toHaveLength(750);
});

test("it waits for topics that are not there yet", async () => {
  const log = new EmbeddedEventLog({ directory: temporary() });
  await log.start();
  onTestFinished(() => log.stop());
  await log.createTopics(journalTopicSpecs("test", TOPICS));
  const waiting = model(log, new MemoryStore());
  await waiting.start();
  expect(await waiting.gateways()).toEqual([]);
  await append(log, readings(new TestJournal(), 3));
  await log.createTopics(cloudTopicSpecs("test", TOPICS, SETTINGS));
  await waiting.caughtUp();
  expect(await waiting.raw(series)).toHaveLength(3);
});

test("a read model of another log is filled again", async () => {
  const directory = temporary();
  const log = await openLog();
  await append(log, readings(new TestJournal(), 20));
  const first = model(log, new LevelStore({ directory }));
  await first.start();
  await first.caughtUp();
  await first.stop();
  const other = await openLog();
  await append(other, readings(new TestJournal(), 5));
  const second = model(other, new LevelStore({ directory }));
  await second.start();
  await second.caughtUp();
  expect(await second.raw(series)).toHaveLength(5);
});

test("a second one on the same directory is told so", async () => {
  const directory = temporary();
  const log = await openLog();
  const first = model(log, new LevelStore({ directory }));
  await first.start();
  const second = model(log, new LevelStore({ directory }));
  await expect(second.start()).rejects.toMatchObject({
    code: "in_use",
    message: expect.stringContaining("open in another process"),
  });
  // The first is none the worse for it.
  await append(log, readings(new TestJournal(), 3));
  await first.caughtUp();
  expect(await first.raw(series)).toHaveLength(3);
});

test("a damaged store is thrown away and filled again; a directory that cannot be made is an error", async () => {
  const directory = temporary();
  const log = await openLog();
  await append(log, readings(new TestJournal(), 30));
  const first = model(log, new LevelStore({ directory }));
  await first.start();
  await first.caughtUp();
  await first.stop();
  for (const name of readdirSync(join(directory, "db"))) {
    if (name === "CURRENT") writeFileSync(join(directory, "db", name), "nonsense");
  }
  const reasons: string[] = [];
  const second = model(log, new LevelStore({ directory, onDiscarded: (why) => reasons.push(why) }));
  await second.start();
  await second.caughtUp();
  expect(reasons).toHaveLength(1);
  expect(await second.raw(series)).toHaveLength(30);
  const file = join(temporary(), "file");
  writeFileSync(file, "");
  await expect(model(log, new LevelStore({ directory: file })).start()).rejects.toMatchObject({
    code: "storage",
  });
});

/** Fails some writes, and forgets at the reopening what it was given since the last one that is said to be kept. */
class FailingStore extends MemoryStore {
  failures = 0;
  writes = 0;
  override async write(changes: StoreChanges): Promise<void> {
    this.writes += 1;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error("planted: the disk is full");
    }
    await super.write(changes);
  }
}

test("after a failed write it opens the store again and loses nothing", async () => {
  const log = await openLog();
  const store = new FailingStore();
  const failing = model(log, store);
  await failing.start();
  const journal = new TestJournal();
  await append(log, readings(journal, 5));
  await failing.caughtUp();
  store.failures = 1;
  await append(log, readings(journal, 5));
  await failing.caughtUp();
  await append(log, readings(journal, 5));
  await failing.caughtUp();
  expect((await failing.raw(series)).map((point) => point.value)).toEqual(
    [0, 1, 2].flatMap(() => [0, 1, 2, 3, 4]),
  );
  expect(store.failures).toBe(0);
});

test.each(["unreachable", "not_authorized"] as const)(
  "it says since when its log does not let it read (%s), before the log was ever there and after",
  async (code) => {
    const log = await openLog();
    let fault: EventLogError | undefined = new EventLogError(code, "connection refused");
    let status: TailStatus = { state: "following" };
    const away = new Proxy(log, {
      get(target, name) {
        if (name === "ranges" && fault) return () => Promise.reject(fault);
        if (name === "tail") {
          return (...args: Parameters<EventLog["tail"]>): Tail => {
            const tail = target.tail(...args);
            return {
              start: () => tail.start(),
              stop: () => tail.stop(),
              caughtUp: (signal) => tail.caughtUp(signal),
              status: () => status,
            };
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const made = model(away, new MemoryStore());
    expect(made.source()).toEqual({ state: "following" });
    await made.start();
    await vi.waitFor(() =>
      expect(made.source()).toEqual({
        state: "waiting",
        since: NOON,
        lastError: "connection refused",
      }),
    );
    fault = undefined;
    await vi.waitFor(() => expect(made.source()).toEqual({ state: "following" }), {
      timeout: 5000,
    });
    status = { state: "waiting", since: NOON + 1 };
    expect(made.source()).toEqual(status);
  },
);
