/**
 * Holds everything that a run has left in the log against the independent oracles: nothing acknowledged is missing or
 * changed, nothing counts more often than it was sent, the journals have no holes, and ledger, rollups, devices and alerts
 * are what the journals say.
 */
import { decodeEvent } from "../../events/codec.ts";
import type { Alert, Device as DeviceState, LedgerEntry, Rollup } from "../../events/schema.ts";
import { topicNames } from "../../events/topics.ts";
import type { StoredRecord } from "../../stream/port.ts";
import { compareRollups } from "../oracle.ts";
import { compareAlerts, expectedAlerts } from "../oracle-alerts.ts";
import { auditJournal, type JournalFault } from "../oracle-audit.ts";
import { compareDevices, expectedDevices } from "../oracle-devices.ts";
import { decodeRecord, decodeStatus } from "../oracle-journal.ts";
import { compareLedger, expectedLedger } from "../oracle-ledger-topic.ts";
import { rangesWithout } from "../oracle-ranges.ts";
import { compareRejections, expectedRejections } from "../oracle-rejected.ts";
import { expectedFromJournals } from "../oracle-rollups.ts";
import { calmProblems } from "./check-calm.ts";
import { idleRules } from "./check-rules.ts";
import { sentProblems } from "./check-sent.ts";
import { checkTimes } from "./check-times.ts";
import { goneCounts, goneOf, toldProblems } from "./check-told.ts";
import { NAMESPACE, type World } from "./world.ts";

export const CHECKS = [
  "rest",
  "time",
  "calm",
  "sent",
  "told",
  "journal",
  "ledger",
  "rollups",
  "devices",
  "alerts",
  "rejected",
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Problem {
  readonly check: CheckName;
  readonly message: string;
}

/** What the log holds in the end. */
export interface RunOutcome {
  readonly problems: readonly Problem[];
  /** Rules that no number of any reading was ever held against: they cannot fire, whatever happens. */
  readonly warnings: readonly string[];
  readonly events: number;
  /** Every change, in the order of the log. */
  readonly alerts: readonly Alert[];
  readonly rollups: readonly Rollup[];
  readonly devices: readonly DeviceState[];
}

const KEEP_HOURS = { "1m": 7 * 24, "1h": 400 * 24 };
/** More lines of one check than a person reads say nothing more. */
const MOST = 10;

export async function checkWorld(world: World): Promise<RunOutcome> {
  const names = topicNames(NAMESPACE);
  const { site } = world;
  const raw = async (topic: string) =>
    (await readAll(world, topic)).filter(({ key }) => key !== null);
  const events = (await readAll(world, names.events)).map((record) => decodeRecord(record));
  const statuses = site.statuses().map(decodeStatus);
  const latest = async <T>(topic: string, decode: (record: StoredRecord) => T) => {
    const found: T[] = [];
    for (const record of newestOfKeys(await raw(topic))) {
      if (record.value !== null) found.push(decode(record));
    }
    return found;
  };
  const problems: Problem[] = [];
  const tell = (check: CheckName, messages: readonly string[]) => {
    for (const message of messages.slice(0, MOST)) problems.push({ check, message });
    if (messages.length > MOST) {
      problems.push({ check, message: `and ${messages.length - MOST} more` });
    }
  };

  tell("rest", world.failures);
  tell("time", checkTimes(world, events));
  tell("calm", calmProblems(world, events));
  tell(
    "sent",
    sentProblems(world.sent, events, goneCounts(world), decayed(world), restored(world)),
  );
  tell("told", toldProblems(world, events));
  // On their way they overtake each other: only what the topic holds in the end goes in order.
  const newest = (await raw(names.status)).map(decodeStatus);
  const audit = auditJournal(events, newest, { still: true });
  tell(
    "journal",
    audit.faults
      .filter((fault) => !explained(world, fault))
      .map(({ gateway, kind, message }) => `${gateway}: ${kind}: ${message}`),
  );

  const twice = [...audit.gateways]
    // One whose disk lost its cursor sends what it has of earlier epochs again, of which the log knows the last alone.
    .filter(([gateway]) => !decayed(world).has(gateway))
    .flatMap(([, epochs]) => epochs)
    .reduce((sum, one) => sum + one.duplicates, 0);
  if (twice > 0 && world.scenario.site.duplicates === "once") {
    tell("journal", [`${twice} records stand twice in a log that drops what comes twice`]);
  }

  const ledger = await latest(names.ledger, ({ value }) =>
    decodeEvent("tidegate.ledger", value as Uint8Array),
  );
  tell(
    "ledger",
    compareLedger(expectedLedger(events, statuses), ledger as LedgerEntry[]).map(text),
  );

  const rollups = await latest(names.rollups, ({ value }) =>
    decodeEvent("tidegate.rollup", value as Uint8Array),
  );
  const wanted = expectedFromJournals(events, KEEP_HOURS);
  tell("rollups", compareRollups(wanted.rollups, rollups).map(text));

  const devices = await latest(names.devices, ({ value }) =>
    decodeEvent("tidegate.device", value as Uint8Array),
  );
  tell("devices", compareDevices(expectedDevices(events), devices).map(text));

  const rejected = (await readAll(world, names.rejected)).map(({ value }) =>
    decodeEvent("tidegate.rejected-record", value as Uint8Array),
  );
  const refusals = expectedRejections(events, statuses, wanted.refused);
  const topics = { events: names.events, status: names.status };
  tell("rejected", compareRejections(refusals, rejected, topics));

  const alerts = await alertsSoFar(world);
  const states = await latest(names.alertState, ({ value }) =>
    decodeEvent("tidegate.alert", value as Uint8Array),
  );
  const expected = expectedAlerts(events, world.scenario.rules);
  tell("alerts", compareAlerts(expected, alerts, states).map(text));

  if (site.cloud) {
    for (const { name, state, lastError } of site.cloud.status().topologies) {
      if (state !== "running") tell("rest", [`${name} is ${state}: ${lastError}`]);
    }
  }
  const warnings = idleRules(world.scenario.rules, events);
  return { problems, warnings, events: events.length, alerts, rollups, devices };
}

/** What nobody is left to tell of, and a journal that goes on from an old copy, which knows nothing of what came after it. */
function explained(world: World, { gateway, epoch, kind, ranges }: JournalFault): boolean {
  if (kind === "missing" && ranges && epoch !== undefined) {
    return rangesWithout(ranges, goneOf(world, gateway).get(epoch) ?? []).length === 0;
  }
  return (kind === "epoch" || kind === "order") && restored(world).has(gateway);
}

/** Gateways whose disk lost what it knew of sessions. */
function decayed(world: World): ReadonlySet<string> {
  return new Set([...world.harms.keys()].map(({ name }) => name));
}

function restored(world: World): ReadonlySet<string> {
  const some = [...world.harms].filter(([, harms]) =>
    harms.some(({ kind }) => kind === "old copy put back"),
  );
  return new Set(some.map(([{ name }]) => name));
}

function text(difference: object): string {
  return JSON.stringify(difference);
}

function newestOfKeys(records: readonly StoredRecord[]): Iterable<StoredRecord> {
  return new Map(records.map((record) => [record.key, record])).values();
}

/** Every change of an alert so far, in the order of the log. */
export async function alertsSoFar(world: World): Promise<readonly Alert[]> {
  const records = await readAll(world, topicNames(NAMESPACE).alerts);
  return records.map(({ value }) => decodeEvent("tidegate.alert", value as Uint8Array));
}

/** Reading takes virtual time: nothing moves while nobody turns the clock. */
async function readAll(world: World, topic: string): Promise<readonly StoredRecord[]> {
  let records: readonly StoredRecord[] | undefined;
  let failed: unknown;
  void world.site.read(topic).then(
    (found) => {
      records = found;
    },
    (error) => {
      failed = error;
    },
  );
  while (!records) {
    if (failed) throw failed;
    await world.runUntil(world.time.now + 1);
  }
  return records;
}
