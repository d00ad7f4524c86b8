import fc from "fast-check";
import { expect, test } from "vitest";
import type { Alert } from "../events/schema.ts";
import { parseRules } from "../rules/file.ts";
import type { StoredRecord, Topology } from "../stream/port.ts";
import { alertRebuild } from "./alert-rebuild.core.ts";
import { type AlertOptions, alertTopology, RULES, type RulesState } from "./alerts.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, TestJournal } from "./test-support/journal.ts";
import { type Rebuilt, rebuilt, seenIn } from "./test-support/rebuild.ts";

function options(...rules: string[]): AlertOptions {
  const { events, alerts, alertState, rejected } = NAMES;
  const text = `rules: [${rules.join(", ")}]`;
  const parsed = parseRules(text, "rules.yaml");
  const names = { events, alerts, alertState, rejected, changelog: "changelog" };
  return { ...names, rules: parsed, version: text };
}

const topology = (...rules: string[]): Topology => alertTopology(options(...rules));

const HOT = "{ name: hot, when: t above 50 }";
const HOTTER = "{ name: hot, when: t above 70 }";
const COLD = "{ name: cold, when: t below 10 }";
const DAMP = "{ name: damp, when: h above 80 for 1m }";

function run(records: readonly StoredRecord[], of: Topology): TopologyTestDriver {
  const driver = new TopologyTestDriver(of, { commitInputs: 3 });
  driver.records(records);
  return driver;
}

const state = (driver: TopologyTestDriver) => driver.latest<Alert>(NAMES.alertState);
const active = (view: ReadonlyMap<string, unknown>) =>
  [...view.values()]
    .map((one) => one as Alert)
    .filter((one) => one.state !== "resolved")
    .sort((a, b) => (a.alert < b.alert ? -1 : 1));
const told = (now: Rebuilt) =>
  now.outputs
    .filter(({ topic }) => topic === NAMES.alerts)
    .map(({ event }) => event as Alert)
    .map((one) => `${one.state} ${one.alert} ${one.historical ? "historical" : "current"}`);

function readings(...values: number[]): StoredRecord[] {
  const journal = new TestJournal("gw-one");
  return values.map((t) => journal.reading("a", { t }));
}

test("a rule that judges as before is untouched, whatever it is called by now", async () => {
  const records = readings(20, 60, 40, 65);
  const live = run(records, topology(HOT));
  const reworded = '{ name: hot, when: t above 50, severity: critical, message: "{device}!" }';
  for (const rules of [[HOT], [reworded]]) {
    const plan = alertRebuild(options(...rules));
    const now = await rebuilt(plan, live.state, records);
    expect(now.outputs).toEqual([]);
    expect(now.changed).toEqual(rules[0] === HOT ? [] : [RULES]);
    expect(plan.outcomes()).toMatchObject([{ rule: "hot", fate: "kept", withdrawn: [] }]);
  }
});

test("a new rule: what is over is history, what holds is told as it is", async () => {
  const records = readings(5, 30, 4, 60, 3);
  const live = run(records, topology(HOT));
  const plan = alertRebuild(options(HOT, COLD));
  const now = await rebuilt(plan, live.state, records);
  expect(told(now)).toEqual([
    "firing cold@gw-one/a/t current",
    "firing cold@gw-one/a/t historical",
    "resolved cold@gw-one/a/t historical",
    "firing cold@gw-one/a/t historical",
    "resolved cold@gw-one/a/t historical",
  ]);
  expect(new Set(now.outputs.map(({ topic, id }) => `${topic} ${id}`)).size).toBe(6);
  expect(active(seenIn(state(live), NAMES.alertState, now.outputs))).toMatchObject([
    { rule: "cold", state: "firing", historical: false },
  ]);
  expect(plan.outcomes()).toMatchObject([
    { rule: "hot", fate: "kept" },
    { rule: "cold", fate: "new", episodes: 3, firing: 1 },
  ]);
});

test("what a changed rule does not hold, and what a rule that is gone had, is withdrawn", async () => {
  const records = readings(60, 5);
  records.push(...[new TestJournal("gw-two").reading("b", { t: 61 })]);
  const live = run(records, topology(HOT, COLD));
  const plan = alertRebuild(options(HOTTER));
  const now = await rebuilt(plan, live.state, records);
  expect(told(now).sort()).toEqual([
    "resolved cold@gw-one/a/t current",
    "resolved hot@gw-two/b/t current",
  ]);
  const seen = seenIn(state(live), NAMES.alertState, now.outputs);
  expect(active(seen)).toEqual([]);
  expect(seen.get("hot@gw-two/b/t")).toMatchObject({ fired: true, message: /changed rule hot/ });
  expect(seen.get("cold@gw-one/a/t")).toMatchObject({ message: /no longer looks at/ });
  expect(plan.outcomes()).toMatchObject([
    { rule: "hot", fate: "changed", withdrawn: ["hot@gw-two/b/t"] },
    { rule: "cold", fate: "gone", withdrawn: ["cold@gw-one/a/t"] },
  ]);
});

test("where the replay has no reading of a series its alert stays, and the changed rule judges the next", async () => {
  const records = readings(60);
  const journal = new TestJournal("gw-two");
  const later = [journal.reading("b", { t: 20 })];
  const live = run([...records, ...later], topology(HOT));
  const now = await rebuilt(alertRebuild(options(HOTTER)), live.state, later);
  expect(now.outputs).toEqual([]);
  const on = new TopologyTestDriver(topology(HOT), { state: now.state });
  const next = new TestJournal("gw-one");
  next.sequence = 1;
  on.records([next.reading("a", { t: 65 })]);
  expect(on.events<Alert>(NAMES.alerts)).toMatchObject([{ rule: "hot", state: "resolved" }]);
});

test("running processors go by the new rules until they are configured otherwise", async () => {
  const records = readings(20, 60);
  const live = run(records, topology(HOT));
  const now = await rebuilt(alertRebuild(options(HOTTER)), live.state, records);
  const journal = new TestJournal("gw-one");
  journal.sequence = 2;
  const still = new TopologyTestDriver(topology(HOT), { state: now.state });
  still.records([journal.reading("a", { t: 65 })]);
  expect(still.outputs).toEqual([]);
  still.records([journal.reading("a", { t: 75 })]);
  expect(still.events<Alert>(NAMES.alerts)).toMatchObject([{ state: "firing", threshold: 70 }]);
  // The file is the new one by now: nothing changes but whose rules they are.
  const file = new TopologyTestDriver(topology(HOTTER), { state: still.state });
  file.records([journal.reading("a", { t: 76 })]);
  expect(file.outputs).toEqual([]);
  expect((file.state.get(RULES) as RulesState).configured).toBe(options(HOTTER).version);
  const other = new TopologyTestDriver(topology(COLD), { state: still.state });
  other.records([journal.reading("a", { t: 5 })]);
  expect(other.events<Alert>(NAMES.alerts)).toMatchObject([{ rule: "cold", state: "firing" }]);
});

test("over the whole history: active alerts and memory end as a fresh run of the new rules has them", async () => {
  const value = fc.constantFrom(0, 5, 20, 55, 65, 75, 90);
  const step = fc.record({
    gateway: fc.constantFrom("gw-one", "gw-two"),
    device: fc.constantFrom("a", "b"),
    t: value,
    h: value,
    again: fc.boolean(),
    beat: fc.boolean(),
  });
  const some = fc.subarray([HOT, COLD, DAMP, HOTTER]).filter((all) => {
    return !(all.includes(HOT) && all.includes(HOTTER));
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), some, some, async (steps, was, is) => {
      const offsets = { next: 0 };
      const journals = new Map(
        ["gw-one", "gw-two"].map((name) => [
          name,
          new TestJournal(name, "0000000001", { stepMs: 20_000, offsets }),
        ]),
      );
      const records: StoredRecord[] = [];
      for (const { gateway, device, t, h, again, beat } of steps) {
        const journal = journals.get(gateway) as TestJournal;
        const one = beat ? journal.heartbeat() : journal.reading(device, { t, h });
        records.push(one, ...(again ? [{ ...one, offset: offsets.next++ }] : []));
      }
      const half = Math.floor(records.length / 2);
      const now = records.slice(0, half);
      const live = run(now, topology(...was));
      const switched = await rebuilt(alertRebuild(options(...is)), live.state, now);
      const fresh = run(now, topology(...is));
      const seen = seenIn(state(live), NAMES.alertState, switched.outputs);
      expect(active(seen)).toEqual(active(state(fresh)));
      const memory = (of: ReadonlyMap<string, unknown>) =>
        Object.fromEntries([...of].filter(([key]) => key !== RULES));
      expect(memory(switched.state)).toEqual(memory(fresh.state));
      // And from there on, by processors whose file is still the old one, all is told as by the new rules.
      const on = new TopologyTestDriver(topology(...was), {
        commitInputs: 3,
        state: switched.state,
      });
      const rest = records.slice(half);
      const after = fresh.outputs.length;
      fresh.records(rest);
      const outputs = on.records(rest);
      if (half > 0) expect(outputs).toEqual(fresh.outputs.slice(after));
    }),
  );
});
