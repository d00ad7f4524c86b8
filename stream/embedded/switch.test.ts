/** A switch that the process dies in: before its decision nothing of it, after it all of it, and no record twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeCbor } from "../../events/codec.ts";
import { all, held, record, spec } from "../conformance/harness.ts";
import { sums } from "../conformance/sums.ts";
import type { Output } from "../port.ts";
import { openDatabase, openLevel } from "./database.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";
import { settingsOf } from "./options.ts";
import { Store } from "./store.ts";
import { StateSwitch } from "./switch.ts";

const names = { name: "sums", inputs: ["in.v1"], output: "out.v1", changelog: "changelog.v1" };
const topology = sums(names);
let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidegate-switch-"));
  const log = await opened();
  await log.createTopics([spec("in.v1"), spec("out.v1"), spec("changelog.v1", 1, "compact")]);
  await log.append("in.v1", [record("a", 1), record("b", 2)]);
  await processedBy(log);
});
afterEach(() => rm(directory, { recursive: true }));

async function opened(): Promise<EmbeddedEventLog> {
  const log = new EmbeddedEventLog({ directory });
  await log.start();
  return log;
}

/** What the topic has in the end, once the partition has been processed. */
async function processedBy(log: EmbeddedEventLog): Promise<unknown[]> {
  const processor = log.process(topology);
  await processor.start();
  await log.append("in.v1", [record("c", 3)]);
  await processor.caughtUp();
  const outputs = (await all(log.read("out.v1"))).map(held);
  await log.stop();
  return outputs;
}

async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const settings = settingsOf({ directory });
  const store = new Store(directory, settings, () => openDatabase(directory, openLevel));
  await store.start();
  await work(store);
  await store.stop();
}

function part(key: string, sum: number) {
  const value = { key, count: 1, sum };
  const output: Output = {
    topic: "out.v1",
    key,
    type: "tidegate.device",
    id: `${key}@switched`,
    time: 0,
    event: value,
  };
  return { changes: [{ key, value: encodeCbor(value) }], outputs: [output] };
}

/** Everything up to here was written before the process died: `steps` of them. */
async function dieAfter(steps: number): Promise<void> {
  await withStore(async (store) => {
    const change = new StateSwitch(store, topology, 0);
    const all = [
      () => change.stage(part("a", 100)),
      () => change.stage(part("b", 200)),
      () => change.decide(),
    ];
    for (const step of all.slice(0, steps)) await step();
  });
}

test.each([1, 2])("%i steps before the decision: as if it had not begun", async (steps) => {
  await dieAfter(steps);
  const outputs = await processedBy(await opened());
  expect(outputs).toMatchObject([{ sum: 1 }, { sum: 2 }, { sum: 3 }, { sum: 6, count: 2 }]);
});

test("after the decision it is carried out before anything else, once", async () => {
  await dieAfter(3);
  const outputs = await processedBy(await opened());
  expect(outputs.slice(3)).toMatchObject([
    { key: "a", sum: 100 },
    { key: "b", sum: 200 },
    { key: "c", sum: 6 },
  ]);
  const log = await opened();
  await log.append("in.v1", [record("a", 1)]);
  expect((await processedBy(log)).slice(6)).toMatchObject([
    { key: "a", sum: 101, count: 2 },
    { key: "c", sum: 9 },
  ]);
});

test("a failure while it is carried out leaves the rest for later, and doubles nothing", async () => {
  await dieAfter(3);
  await withStore(async (store) => {
    let commits = 0;
    const failing = new Proxy(store, {
      get(target, property) {
        if (property !== "commit") {
          const value = Reflect.get(target, property, target) as unknown;
          return typeof value === "function" ? value.bind(target) : value;
        }
        return (change: Parameters<Store["commit"]>[0]) =>
          ++commits > 1 ? Promise.reject(new Error("planted")) : target.commit(change);
      },
    });
    await expect(new StateSwitch(failing, topology, 0).settle()).rejects.toThrow("planted");
  });
  const outputs = await processedBy(await opened());
  expect(outputs.slice(3)).toMatchObject([{ sum: 100 }, { sum: 200 }, { sum: 6 }]);
});
