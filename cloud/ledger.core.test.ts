import { expect, test } from "vitest";
import { eventHeaders } from "../events/cloudevents.ts";
import { encodeCbor } from "../events/codec.ts";
import type { LedgerEntry, RejectedRecord } from "../events/schema.ts";
import type { StoredRecord } from "../stream/port.ts";
import { sumTotals, totalsOf } from "./audit.core.ts";
import { ledgerTopology } from "./ledger.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, statusRecord, TestJournal } from "./test-support/journal.ts";

function driver(commitInputs = 1) {
  const { events, status, ledger, rejected } = NAMES;
  return new TopologyTestDriver(
    ledgerTopology({ events, status, ledger, rejected, changelog: "changelog" }),
    { commitInputs },
  );
}

function entryOf(run: TopologyTestDriver, key = "gw-one/0000000001"): LedgerEntry {
  const entry = run.latest<LedgerEntry>(NAMES.ledger).get(key);
  if (!entry) throw new Error(`no entry ${key}`);
  return entry;
}

function readings(journal: TestJournal, count: number): StoredRecord[] {
  return Array.from({ length: count }, () => journal.reading("d", { t: 1 }));
}

test("a whole journal is complete", () => {
  const run = driver(7);
  const journal = new TestJournal();
  run.records([journal.opening(), ...readings(journal, 50), journal.heartbeat()]);
  expect(entryOf(run)).toEqual({
    gateway: "gw-one",
    epoch: "0000000001",
    received: [[1, 52]],
    declared_lost: [],
    missing: [],
    duplicates: 0,
    accepted: 52,
    first_received: NOON,
    last_received: NOON + 51_000,
  });
});

test("a planted gap and a planted duplicate are found, and a late arrival fills the gap", () => {
  const run = driver();
  const journal = new TestJournal();
  const all = readings(journal, 10);
  const [fourth, fifth, eighth] = [all[3], all[4], all[7]] as StoredRecord[];
  run.records(all.filter((one) => one !== fourth && one !== fifth));
  run.records([eighth as StoredRecord]);
  expect(entryOf(run)).toMatchObject({
    received: [
      [1, 3],
      [6, 10],
    ],
    missing: [[4, 5]],
    duplicates: 1,
  });
  run.records([fifth as StoredRecord]);
  expect(entryOf(run)).toMatchObject({ missing: [[4, 4]], duplicates: 1 });
  run.records([fourth as StoredRecord, fourth as StoredRecord]);
  expect(entryOf(run)).toMatchObject({ received: [[1, 10]], missing: [], duplicates: 2 });
});

test("a batch that comes twice, whole or between new ones, counts as duplicates alone", () => {
  const run = driver(4);
  const journal = new TestJournal();
  const first = readings(journal, 20);
  const second = readings(journal, 20);
  run.records([...first, ...first, ...second]);
  run.records(first.flatMap((one, i) => [one, second[i] as StoredRecord]));
  expect(entryOf(run)).toMatchObject({ received: [[1, 40]], missing: [], duplicates: 60 });
});

test("what the gateway claims and has not come is on its way, until the next epoch closes this one", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([...readings(journal, 5), statusRecord("gw-one", "0000000001", 9)]);
  expect(totalsOf(entryOf(run))).toEqual({
    accepted: 9,
    arrived: 5,
    onTheWay: 4,
    missing: 0,
    duplicates: 0,
    declaredLost: 0,
  });
  // An older status takes nothing back.
  run.records([statusRecord("gw-one", "0000000001", 3)]);
  expect(entryOf(run).accepted).toBe(9);
  const next = new TestJournal("gw-one", "0000000002");
  run.records([next.opening({ epoch: "0000000001", highest: 7 }, "salvage")]);
  expect(entryOf(run)).toMatchObject({ closed: true, missing: [[6, 9]], accepted: 9 });
  expect(entryOf(run, "gw-one/0000000002")).toMatchObject({ received: [[1, 1]], missing: [] });
  // What comes of it later still counts, and says that its gateway lives: the next epoch knew of less.
  run.records(readings(journal, 4));
  expect(entryOf(run)).toMatchObject({ received: [[1, 9]], missing: [] });
  expect(entryOf(run)).not.toHaveProperty("closed");
});

test("a gateway that begins anew under its old name, its disk gone, ends the epochs it does not remember", () => {
  const run = driver();
  const journal = new TestJournal();
  const opening = journal.opening();
  run.records([opening, ...readings(journal, 4), statusRecord("gw-one", "0000000001", 9)]);
  const other = new TestJournal("gw-on", "0000000003");
  run.records([other.opening(), statusRecord("gw-on", "0000000003", 5, 1)]);
  const anew = new TestJournal("gw-one", "0000000002");
  run.records([anew.opening(), opening]);
  expect(entryOf(run)).toMatchObject({ closed: true, missing: [[6, 9]], accepted: 9 });
  // The old opening came twice: it ends nothing.
  expect(entryOf(run, "gw-one/0000000002")).not.toHaveProperty("closed");
  expect(entryOf(run, "gw-on/0000000003")).not.toHaveProperty("closed");
});

/** One record of each in turn, as two gateways that live side by side write them. */
function inTurn(a: readonly StoredRecord[], b: readonly StoredRecord[]): StoredRecord[] {
  return a.flatMap((record, at) => [record, ...(b[at] ? [b[at]] : [])]);
}

test("two gateways that were given one id live side by side: the beginning of one ends the other for no longer than it is silent", () => {
  const run = driver();
  const one = new TestJournal();
  const two = new TestJournal("gw-one", "0000000002");
  run.records([one.opening(), ...readings(one, 4)]);
  // What is on its way must not be called missing because of the other one.
  run.records([two.opening(), ...readings(two, 4), ...readings(one, 1)]);
  run.records([statusRecord("gw-one", "0000000001", 20), statusRecord("gw-one", "0000000002", 30)]);
  for (const epoch of ["0000000001", "0000000002"]) {
    const entry = entryOf(run, `gw-one/${epoch}`);
    expect(entry).toMatchObject({ missing: [], duplicates: 0 });
    expect(entry).not.toHaveProperty("closed");
  }
  const hole = readings(one, 2);
  run.records(inTurn(readings(one, 30), readings(two, 30)));
  expect(entryOf(run)).toMatchObject({ missing: [[7, 8]], accepted: 38 });
  run.records(hole);
  expect(entryOf(run)).toMatchObject({ missing: [], received: [[1, 38]] });
});

test("the copy of a disk ends its original under the same id; the original goes on and is open again", () => {
  const run = driver();
  const original = new TestJournal();
  const copy = new TestJournal("gw-one", "0000000002");
  run.records([original.opening(), ...readings(original, 9)]);
  const restored = copy.opening({ epoch: "0000000001", highest: 5 }, "restored");
  run.records([restored]);
  expect(entryOf(run)).toMatchObject({ closed: true, missing: [] });
  run.records(inTurn(readings(original, 3), readings(copy, 3)));
  run.records([statusRecord("gw-one", "0000000001", 50), restored]);
  expect(entryOf(run)).toMatchObject({ received: [[1, 13]], missing: [] });
  expect(entryOf(run)).not.toHaveProperty("closed");
});

test("what a copy on other hardware still holds of its original is counted once, and nobody's epoch is closed", () => {
  const run = driver();
  const original = new TestJournal();
  const held = [original.opening(), ...readings(original, 9)];
  // The copy was made at 6, gave up 3 and 4 for room, and sends what it has before the original does.
  const loss = new TestJournal();
  loss.skip(2);
  run.records([...held.slice(0, 2), loss.loss(4), ...held.slice(4, 6)]);
  const copy = new TestJournal("gw-one-abcde", "0000000002");
  const previous = { epoch: "0000000001", highest: 6, gateway: "gw-one" };
  run.records([copy.opening(previous, "moved"), ...readings(copy, 3)]);
  expect(entryOf(run)).toMatchObject({ declared_lost: [[3, 4]], missing: [] });
  run.records(held);
  const entry = entryOf(run);
  expect(entry).toMatchObject({
    received: [[1, 10]],
    declared_lost: [],
    missing: [],
    duplicates: 4,
  });
  expect(entry).not.toHaveProperty("closed");
  expect([...run.latest(NAMES.ledger).keys()].toSorted()).toEqual([
    "gw-one-abcde/0000000002",
    "gw-one/0000000001",
  ]);
});

test("an epoch of which nothing came is missing when the next one names it, but not a moved card's", () => {
  const run = driver();
  const next = new TestJournal("gw-one", "0000000002");
  run.records([next.opening({ epoch: "0000000001", highest: 3 }, "restored")]);
  expect(entryOf(run)).toMatchObject({ received: [], missing: [[1, 3]], closed: true });
  const moved = new TestJournal("gw-two", "0000000003");
  run.records([moved.opening({ epoch: "0000000001", highest: 3 }, "moved")]);
  expect([...run.latest(NAMES.ledger).keys()].toSorted()).toEqual([
    "gw-one/0000000001",
    "gw-one/0000000002",
    "gw-two/0000000003",
  ]);
});

test("a declared loss answers for its range, but not for what had arrived of it or comes later", () => {
  const run = driver();
  const journal = new TestJournal();
  const before = readings(journal, 4);
  journal.skip(-1);
  const loss = journal.loss(9, 4);
  run.records([...before, loss, ...readings(journal, 1)]);
  const totals = { accepted: 10, arrived: 5, onTheWay: 0, missing: 0, declaredLost: 5 };
  expect(entryOf(run)).toMatchObject({ received: [[1, 10]], declared_lost: [[5, 9]], missing: [] });
  expect(totalsOf(entryOf(run))).toEqual({ ...totals, duplicates: 0 });
  run.records([loss]);
  expect(totalsOf(entryOf(run))).toEqual({ ...totals, duplicates: 1 });
  const late = new TestJournal();
  late.skip(6);
  run.records(readings(late, 1));
  expect(entryOf(run)).toMatchObject({
    declared_lost: [
      [5, 6],
      [8, 9],
    ],
    missing: [],
  });
  expect(sumTotals([entryOf(run)])).toMatchObject({ arrived: 6, declaredLost: 4, accepted: 10 });
});

test("a later version's event types are events; what cannot be read is told once, and the partition goes on", () => {
  const run = driver();
  const journal = new TestJournal();
  const good = journal.reading("d", { t: 1 });
  const future = journal.record("tidegate.fingerprint", encodeCbor({ any: "thing" }));
  const broken: [StoredRecord, string][] = [
    [{ ...good, offset: 90, headers: {} }, "bad_source"],
    [{ ...good, offset: 91, headers: { ...good.headers, ce_id: "nonsense" } }, "bad_id"],
    [
      { ...good, offset: 92, headers: { ...good.headers, ce_source: "/gateways/ bad" } },
      "bad_source",
    ],
    [{ ...good, offset: 93, key: "another" }, "bad_key"],
    [journal.record("tidegate.loss", new Uint8Array([0xff])), "not_cbor"],
    [journal.record("tidegate.epoch", encodeCbor({ reason: 1 })), "schema"],
    [journal.record("tidegate.fingerprint", null), "no_value"],
    [{ ...statusRecord("gw-one", "0000000001", 1), value: encodeCbor([1]) }, "schema"],
    [{ ...statusRecord("gw-one", "0000000001", 1), key: "gw-two" }, "bad_key"],
  ];
  // Rollups and alerts read these, and tell of them.
  const others = ["tidegate.reading", "tidegate.clock", "tidegate.heartbeat"].map((type) =>
    journal.record(type, null),
  );
  run.records([good, future, ...broken.map(([one]) => one), ...others]);
  const told = run.events<RejectedRecord>(NAMES.rejected);
  expect(told.map((one) => one.code)).toEqual(broken.map(([, code]) => code));
  expect(told[0]).toMatchObject({
    topology: "ledger",
    topic: NAMES.events,
    partition: 0,
    offset: 90,
  });
  expect([...(told[4]?.value ?? [])]).toEqual([0xff]);
  // Unreadable or not, a record with a sequence has arrived.
  expect(entryOf(run)).toMatchObject({ received: [[1, 8]], missing: [], duplicates: 0 });
});

test("gateways and epochs are apart, and a tick is nothing", () => {
  const run = driver();
  const one = new TestJournal("gw-one");
  const two = new TestJournal("gw-two");
  run.records([...readings(one, 3), ...readings(two, 2)]);
  const before = run.outputs.length;
  run.pipe([{ kind: "tick", partition: 0, offset: 7, time: NOON }]);
  expect(run.outputs.length).toBe(before);
  expect(entryOf(run, "gw-two/0000000001").received).toEqual([[1, 2]]);
});

test("ids of outputs are unique within a topic", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.opening(),
    ...readings(journal, 5),
    statusRecord("gw-one", "0000000001", 99),
  ]);
  const ids = run.outputs.map((one) => one.id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(eventHeaders("tidegate.ledger", ids[0] ?? "", "/processors/ledger", NOON).ce_id).toBe(
    ids[0],
  );
});

test("an epoch known by its status alone when another begins without a memory: it ends if it was the older, and lives if it was not", () => {
  const anew = new TestJournal("gw-one", "0000000002", { now: NOON + 60_000 });
  const opening = anew.opening();
  const older = statusRecord("gw-one", "0000000001", 9);
  const newer = { ...statusRecord("gw-one", "0000000003", 9), timestamp: NOON + 61_000 };
  for (const records of [
    [older, newer, opening],
    [opening, newer, older],
  ]) {
    const run = driver();
    run.records(records);
    expect(entryOf(run)).toMatchObject({ closed: true, missing: [[1, 9]] });
    expect(entryOf(run, "gw-one/0000000003")).not.toHaveProperty("closed");
  }
  // Its status went past the backlog in which the other's beginning waited: that it came shows that it is the newer.
  const run = driver();
  run.records([older, opening]);
  const alive = new TestJournal("gw-one", "0000000001", { now: NOON + 62_000 });
  run.records([alive.opening({ epoch: "0000000002", highest: 1 }, "salvage")]);
  expect(entryOf(run)).toMatchObject({ received: [[1, 1]], missing: [], accepted: 9 });
  expect(entryOf(run)).not.toHaveProperty("closed");
  expect(entryOf(run, "gw-one/0000000002")).toMatchObject({ closed: true, missing: [] });
});
