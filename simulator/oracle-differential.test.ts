/**
 * The oracles against the real processors, on random journals. A difference is a fault of one of the two, and the
 * documentation says of which. What once differed stands below as an example of its own.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CloudSettings } from "../cloud/config.ts";
import { TopologyTestDriver } from "../cloud/test-driver.ts";
import { cloudTopologies } from "../cloud/topics.ts";
import type { Alert, Device, LedgerEntry, RejectedRecord, Rollup } from "../events/schema.ts";
import { parseRules } from "../rules/file.ts";
import type { Rule } from "../rules/rule.ts";
import type { StoredRecord } from "../stream/port.ts";
import { compareRollups } from "./oracle.ts";
import { compareAlerts, expectedAlerts } from "./oracle-alerts.ts";
import { compareDevices, expectedDevices } from "./oracle-devices.ts";
import { decodeRecord, decodeStatus } from "./oracle-journal.ts";
import { compareLedger, expectedLedger } from "./oracle-ledger-topic.ts";
import { compareRejections, expectedRejections } from "./oracle-rejected.ts";
import { expectedFromJournals } from "./oracle-rollups.ts";
import { NAMES, playSteps, type Step, steps } from "./test-support/random-journals.ts";

const SETTINGS: CloudSettings = {
  rollups: { minute_keep_days: 1, hour_keep_days: 2 },
  alert_retention_days: 1,
  rejected_retention_days: 1,
  read_model: { raw_keep_days: 7, raw_max_bytes: 1024 * 1024, alert_history_max: 1000 },
};
const KEEP_HOURS = { "1m": 24, "1h": 48 };

const RULES = parseRules(
  `rules:
  - { name: at-once, when: t above 5 }
  - { name: for-30s, when: t above 5 for 30s, clear: below 3, freshness: 1m, device: "a*" }
  - { name: for-10m, when: t below 6 for 10m, severity: critical }
  - { name: fresh, when: u below 5, clear: above 7, freshness: 5m, gateway: "gw-[12]" }
  - { name: for-2h, when: u above 2 for 2h, freshness: 2h, gateway: "*-1" }
  - { name: slash, when: u above 6, device: "?/*", severity: info, freshness: 30s }
`,
  "rules.yaml",
);

/** What differs, topic by topic; nothing where the processors say what they must. */
function differences(
  all: readonly StoredRecord[],
  rules: readonly Rule[],
  commitInputs: number,
): Record<string, unknown[]> {
  const journals = all.filter(({ topic }) => topic === NAMES.events);
  const [ledger, rollups, devices, alerts] = cloudTopologies("test", SETTINGS, rules).map(
    (topology) => {
      const driver = new TopologyTestDriver(topology, { commitInputs });
      driver.records(topology.inputs.includes(NAMES.status) ? all : journals);
      return driver;
    },
  ) as [TopologyTestDriver, TopologyTestDriver, TopologyTestDriver, TopologyTestDriver];

  const records = journals.map((one) => decodeRecord(one));
  const statuses = all.filter(({ topic }) => topic === NAMES.status).map(decodeStatus);
  const expected = expectedFromJournals(records, KEEP_HOURS);
  const held = [...rollups.state.keys()].filter((key) => /^held\/[^/]+\/\d+$/.test(key)).length;
  const waiting = [...expected.waiting.values()].reduce((sum, count) => sum + count, 0);
  const rejected = [ledger, rollups, devices, alerts].flatMap((driver) =>
    driver.events<RejectedRecord>(NAMES.rejected),
  );
  const newest = <T>(driver: TopologyTestDriver, topic: string) => driver.latest<T>(topic).values();
  const found = {
    ledger: compareLedger(
      expectedLedger(records, statuses),
      newest<LedgerEntry>(ledger, NAMES.ledger),
    ),
    rollups: compareRollups(expected.rollups, newest<Rollup>(rollups, NAMES.rollups)),
    held: held === waiting ? [] : [`${held} wait, and not ${waiting}`],
    devices: compareDevices(expectedDevices(records), newest<Device>(devices, NAMES.devices)),
    alerts: compareAlerts(
      expectedAlerts(records, rules),
      alerts.events<Alert>(NAMES.alerts),
      newest<Alert>(alerts, NAMES.alertState),
    ),
    rejected: compareRejections(
      expectedRejections(records, statuses, expected.refused),
      rejected,
      NAMES,
    ),
  };
  return Object.fromEntries(Object.entries(found).filter(([, some]) => some.length > 0));
}

const MINUTE = 60_000;

/** What differed once. */
const EXAMPLES: readonly [name: string, played: readonly Step[]][] = [
  [
    "a heartbeat and a reading without a value were told of by two topologies",
    [
      { kind: "bad", on: 0, what: "beat" },
      { kind: "bad", on: 0, what: "nothing" },
    ],
  ],
  [
    "the status of a salvaged buffer went past the backlog in which the beginning of the one before waited, and that closed it",
    [
      { kind: "link", on: 1 },
      { kind: "salvage", on: 1 },
      { kind: "claim", on: 1 },
      { kind: "pass", ms: MINUTE },
      { kind: "link", on: 1 },
    ],
  ],
  [
    "a condition that began under an unset clock and the device's time had held for years after a reboot",
    [
      { kind: "reboot", on: 0, clock: "unset" },
      { kind: "reading", on: 0, device: "a", t: 4, late: 0 },
      { kind: "reboot", on: 0, clock: "set" },
      { kind: "heartbeat", on: 0 },
    ],
  ],
  [
    "a clock that was years ahead before a reboot kept what was pending from firing",
    [
      { kind: "jump", on: 0, ms: 3650 * 24 * 60 * MINUTE },
      { kind: "reading", on: 0, device: "a", t: 4 },
      { kind: "reboot", on: 0, clock: "set" },
      { kind: "pass", ms: 20 * MINUTE },
      { kind: "heartbeat", on: 0 },
    ],
  ],
  [
    "a leap that was confirmed within an hour let windows go, and the oracle kept them",
    [
      { kind: "reading", on: 1, device: "b/c", u: 4, late: 171_550_000 },
      { kind: "reading", on: 1, device: "b/c", u: 0, late: 85_140_000 },
      { kind: "pass", ms: 11 * MINUTE },
      { kind: "reading", on: 1, device: "b/c", u: 4 },
      { kind: "pass", ms: 10 * MINUTE },
      { kind: "reading", on: 1, device: "b/c", u: 0 },
    ],
  ],
];

describe("the processors say what the oracles say", () => {
  test.each(EXAMPLES)("%s", (_, played) => {
    expect(differences(playSteps(played), RULES, 1)).toEqual({});
  });

  test("of more readings without a time than leave the queue at once", () => {
    const silent = (count: number): Step[] => new Array(count).fill({ kind: "heartbeat", on: 0 });
    const played: Step[] = [{ kind: "reboot", on: 0, clock: "unset" }];
    for (let at = 0; at < 1210; at += 1) {
      played.push({ kind: "reading", on: 0, device: "a", t: at % 7 });
      if (at % 100 === 0) played.push({ kind: "pass", ms: MINUTE / 4 });
    }
    const told: Step[] = [...played, { kind: "sync", on: 0 }, ...silent(3)];
    expect(differences(playSteps(told), [], 500)).toEqual({});
    const rebooted: Step[] = [...played, { kind: "reboot", on: 0, clock: "set" }, ...silent(3)];
    expect(differences(playSteps(rebooted), [], 500)).toEqual({});
  });

  test("of any journals", () => {
    fc.assert(
      fc.property(
        steps,
        fc.subarray([...RULES]),
        fc.constantFrom(1, 3, 50),
        (played, rules, commitInputs) => {
          expect(differences(playSteps(played), rules, commitInputs)).toEqual({});
        },
      ),
      { numRuns: Number(process.env.TEST_RUNS ?? 600) },
    );
  });
});
