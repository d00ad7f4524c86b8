import { expect, test } from "vitest";
import type { Alert, RejectedRecord } from "../events/schema.ts";
import { parseRules } from "../rules/file.ts";
import type { StoredRecord } from "../stream/port.ts";
import { alertTopology } from "./alerts.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";

const RULES = `
rules:
  - name: warm
    when: temperature above -15
    device: freezer-*
    severity: critical
    message: "{device} of {gateway} is at {value}, threshold {threshold}"
  - name: damp
    when: humidity above 80 for 1m
`;

function topology(rules = RULES) {
  const { events, alerts, alertState, rejected } = NAMES;
  return alertTopology({
    events,
    alerts,
    alertState,
    rejected,
    changelog: "changelog",
    rules: parseRules(rules, "rules.yaml"),
    version: rules,
  });
}

const history = (run: TopologyTestDriver) =>
  run.events<Alert>(NAMES.alerts).map((one) => `${one.state} ${one.alert} ${one.episode}`);

test("the life of an alert, in the history and as it is", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  run.records([
    journal.reading("freezer-1", { temperature: -20 }),
    journal.reading("freezer-1", { temperature: -12.5 }),
    journal.reading("fridge", { temperature: 4 }),
  ]);
  const alert = "warm@gw-one/freezer-1/temperature";
  expect(run.latest<Alert>(NAMES.alertState).get(alert)).toEqual({
    alert,
    episode: "0000000001-2",
    rule: "warm",
    gateway: "gw-one",
    device: "freezer-1",
    metric: "temperature",
    state: "firing",
    severity: "critical",
    condition: "temperature above -15",
    threshold: -15,
    value: -12.5,
    since: NOON + 1000,
    changed: NOON + 1000,
    historical: false,
    message: "freezer-1 of gw-one is at -12.5, threshold -15",
  });
  run.records([journal.reading("freezer-1", { temperature: -12 })]);
  run.records([journal.reading("freezer-1", { temperature: -19 })]);
  expect(history(run)).toEqual([`firing ${alert} 0000000001-2`, `resolved ${alert} 0000000001-2`]);
  expect(run.latest<Alert>(NAMES.alertState).get(alert)).toMatchObject({
    state: "resolved",
    fired: true,
    message: "freezer-1: temperature is -19, no longer above -15",
  });
  expect([...run.state.keys()].filter((key) => key.startsWith("active/"))).toEqual([]);
});

test("neither a batch that comes twice nor a replay makes a second one", () => {
  const journal = new TestJournal();
  const records = [-20, -10, -20, -10, -11].map((temperature) =>
    journal.reading("freezer-1", { temperature }),
  );
  const run = new TopologyTestDriver(topology(), { commitInputs: 3 });
  run.records([...records, ...records]);
  run.records(records.flatMap((record) => [record, record]));
  expect(history(run)).toHaveLength(3);
  const again = new TopologyTestDriver(topology());
  again.records(records);
  expect(again.events(NAMES.alerts)).toEqual(run.events(NAMES.alerts));
});

test("a steady condition fires by the gateway's heartbeats, not by another's and not by ticks", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal("gw-one", "0000000001", { stepMs: 30_000 });
  const other = new TestJournal("gw-two", "0000000002", { now: NOON + 1e9 });
  run.records([
    journal.reading("a", { humidity: 81 }),
    other.heartbeat(),
    journal.reading("b", { humidity: 99 }),
  ]);
  run.pipe([{ kind: "tick", partition: 0, offset: 99, time: NOON + 1e12 }]);
  expect(history(run)).toEqual([
    "pending damp@gw-one/a/humidity 0000000001-1",
    "pending damp@gw-one/b/humidity 0000000001-2",
  ]);
  run.records([journal.heartbeat()]);
  expect(history(run).slice(2)).toEqual(["firing damp@gw-one/a/humidity 0000000001-1"]);
  run.records([journal.heartbeat(), journal.heartbeat()]);
  expect(history(run).slice(3)).toEqual(["firing damp@gw-one/b/humidity 0000000001-2"]);
});

test("a resolved alert says what ended it, and whether it had fired at all", () => {
  const run = new TopologyTestDriver(
    topology("rules: [{ name: warm, when: temperature above -15 for 1m, clear: below -17 }]"),
  );
  const journal = new TestJournal("gw-one", "0000000001", { stepMs: 30_000 });
  for (const temperature of [-10, -16, -10, -10, -10, -16, -18.5]) {
    run.records([journal.reading("freezer-2", { temperature })]);
  }
  const told = run.events<Alert>(NAMES.alerts);
  expect(told.map((one) => [one.state, one.fired])).toEqual([
    ["pending", undefined],
    ["resolved", false],
    ["pending", undefined],
    ["firing", undefined],
    ["resolved", true],
  ]);
  expect(told[1]?.message).toBe("freezer-2: temperature is -16, no longer above -15");
  expect(told[4]?.message).toBe("freezer-2: temperature is -18.5, cleared below -17");
});

test("a gateway that comes back after a day tells its past as past, and what holds on as now", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  const sent = NOON + 86_400_000;
  const backlog: StoredRecord[] = [-10, -20, -10].map((temperature) =>
    journal.reading("freezer-1", { temperature }, { sent }),
  );
  run.records(backlog);
  journal.now = sent;
  run.records([journal.reading("freezer-1", { temperature: -10 })]);
  expect(run.events<Alert>(NAMES.alerts).map((one) => [one.state, one.historical])).toEqual([
    ["firing", true],
    ["resolved", true],
    ["firing", true],
    ["firing", false],
  ]);
});

test("a device's late reading does not make its alert flap", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  run.records([
    journal.reading("freezer-1", { temperature: -10 }),
    journal.reading("freezer-1", { temperature: -20 }, { time: NOON - 5000, clock: "device" }),
    // A clock that runs ahead by a year does not silence the readings after it.
    journal.reading("freezer-1", { temperature: -9 }, { time: NOON + 3e10, clock: "device" }),
    journal.reading("freezer-1", { temperature: -20 }),
  ]);
  expect(run.events<Alert>(NAMES.alerts).map((one) => one.state)).toEqual(["firing", "resolved"]);
});

test("an alert whose rule is gone is resolved with the gateway's next heartbeat", () => {
  const journal = new TestJournal();
  const first = new TopologyTestDriver(topology());
  const driven = topology("rules: []");
  const other = topology("rules: [{ name: warm, when: temperature above -15, device: fridge-* }]");
  first.records([journal.reading("freezer-1", { temperature: -10 })]);
  for (const [topologyNow, left] of [
    [topology(), undefined],
    [driven, "resolved"],
    [other, "resolved"],
  ] as const) {
    const heartbeat = journal.heartbeat();
    const { state, outputs } = topologyNow.step(
      {
        get: (key) => first.state.get(key),
        entries: (prefix) => [...first.state].filter(([key]) => key.startsWith(prefix)),
      },
      { kind: "record", record: heartbeat },
    );
    const told = outputs[0]?.event as Alert | undefined;
    expect(told?.state).toBe(left);
    expect(told?.message).toBe(left && "freezer-1: the rule warm no longer looks at temperature");
    expect(
      [...state].some(([key, value]) => key.startsWith("active/") && value === undefined),
    ).toBe(left !== undefined);
  }
});

test("an unreadable heartbeat is told, by this topology; an unreadable reading by another", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  run.records([
    journal.record("tidegate.heartbeat", new Uint8Array([0xff])),
    journal.record("tidegate.reading", new Uint8Array([0xff])),
    journal.reading("freezer-1", { temperature: -10 }),
  ]);
  expect(run.events<RejectedRecord>(NAMES.rejected).map((one) => one.offset)).toEqual([0]);
  expect(history(run)).toHaveLength(1);
});

test("a reading without any time alerts at once, even where the log's own clock is not set", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  const unset = {
    received: 5000,
    sent: 5000,
    clock: "unsynced",
    boot: "boot-2",
    uptime: 5,
  } as const;
  run.records([
    journal.reading("freezer-1", { temperature: -20 }),
    journal.reading("freezer-1", { temperature: -12.5 }, unset),
    journal.reading("freezer-1", { temperature: -20 }, unset),
  ]);
  const told = run.events<Alert>(NAMES.alerts);
  expect(told.map(({ state, historical, changed }) => [state, historical, changed])).toEqual([
    ["firing", false, NOON],
    ["resolved", false, NOON],
  ]);
});

test("for is counted by the gateway's boot clock through a clock that is set while it runs", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  const beat = (uptime: number, received: number, clock: "unsynced" | "synced" = "synced") =>
    journal.heartbeat({ uptime, received, clock, boot: "boot-2" });
  const damp = {
    received: 5000,
    sent: 5000,
    clock: "unsynced",
    boot: "boot-2",
    uptime: 5000,
  } as const;
  run.records([
    journal.reading("cellar", { humidity: 90 }, damp),
    beat(10_000, 10_000, "unsynced"),
    beat(60_000, NOON + 60_000),
    journal.reading("cellar", { humidity: 91 }, { ...damp, uptime: 64_999, received: NOON * 2 }),
  ]);
  expect(history(run)).toEqual(["pending damp@gw-one/cellar/humidity 0000000001-1"]);
  run.records([beat(65_000, NOON + 65_000)]);
  expect(history(run)[1]).toBe("firing damp@gw-one/cellar/humidity 0000000001-1");
});

test("what began under an unset gateway clock, and the device's time, has not held for years after a reboot", () => {
  const run = new TopologyTestDriver(topology());
  const journal = new TestJournal();
  const beat = (received: number) =>
    journal.heartbeat({ received, boot: "boot-2", uptime: received - NOON });
  const timed = { received: 5000, time: NOON, clock: "device", boot: "boot-1", uptime: 5 } as const;
  run.records([journal.reading("cellar", { humidity: 90 }, timed), beat(NOON + 59_999)]);
  expect(history(run)).toEqual(["pending damp@gw-one/cellar/humidity 0000000001-1"]);
  run.records([beat(NOON + 60_000)]);
  expect(history(run)[1]).toBe("firing damp@gw-one/cellar/humidity 0000000001-1");
});
