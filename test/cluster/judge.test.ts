/** The judge of the cluster runs is tested too: what it passes is whole, and what was planted it finds, each where it is. */
import { beforeAll, describe, expect, test } from "vitest";
import { TopologyTestDriver } from "../../cloud/test-driver.ts";
import { cloudTopologies } from "../../cloud/topics.ts";
import { eventHeaders } from "../../events/cloudevents.ts";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import type { Alert, Device, LedgerEntry, RejectedRecord, Rollup } from "../../events/schema.ts";
import { topicNames } from "../../events/topics.ts";
import { decodeRecord, type JournalRecord } from "../../simulator/oracle-journal.ts";
import type { StoredRecord } from "../../stream/port.ts";
import { CLOUD_SETTINGS, KEEP_HOURS } from "./cloud-settings.ts";
import { contentOf, NUMBERS_A_LIFE, RULES } from "./content.core.ts";
import type { ClusterView } from "./judge.core.ts";
import { judge } from "./judge.core.ts";
import { plants } from "./plants.core.ts";
import { readTold, TELL } from "./told.core.ts";

const SEED = 7;
const NAMES = topicNames("judged");
const GATEWAY = "gw-1";
const EPOCH = "e000000001";
const STAMP = { clock: "synced", boot: "b" } as const;
const START = Date.parse("2026-12-01T10:00:00Z");

/** Four batches; the last of the first life was in flight when it was killed, and was handed over once more with what came since. */
const BATCHES = [
  { life: 1, from: 1, to: 100 },
  { life: 1, from: 101, to: 200 },
  { life: 2, from: 101, to: 260 },
  { life: 2, from: 261, to: 400 },
] as const;

function journal(): StoredRecord[] {
  const sequences = BATCHES.flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i),
  );
  return sequences.map((sequence, offset) => {
    const time = START + sequence * 500;
    const stamp = { ...STAMP, received: time, uptime: sequence * 500 };
    const content = contentOf(SEED, GATEWAY, NUMBERS_A_LIFE + sequence);
    const [type, event] =
      sequence === 1
        ? (["tidegate.epoch", { ...stamp, reason: "first-start" as const }] as const)
        : (["tidegate.reading", { ...stamp, ...content }] as const);
    return {
      topic: NAMES.events,
      partition: 0,
      offset,
      timestamp: START + 400 * 500 + offset,
      key: GATEWAY,
      headers: { ...eventHeaders(type, `${EPOCH}-${sequence}`, `/gateways/${GATEWAY}`, time) },
      value: encodeEvent(type, event as never),
    };
  });
}

function viewOf(records: readonly StoredRecord[]): ClusterView {
  const drivers = cloudTopologies("judged", CLOUD_SETTINGS, RULES).map((topology) => {
    const driver = new TopologyTestDriver(topology, { commitInputs: 10 });
    driver.records(records);
    return driver;
  });
  const all = <T>(topic: string) => drivers.flatMap((driver) => driver.events<T>(topic));
  const newest = <T>(topic: string) =>
    drivers.flatMap((driver) => [...driver.latest<T>(topic).values()]);
  const readings = drivers.flatMap((driver) =>
    driver
      .stored()
      .filter(({ topic }) => topic === NAMES.readings)
      .map(({ key, headers, value }) => {
        return { key, headers, data: decodeEvent("tidegate.device-reading", value as Uint8Array) };
      }),
  );
  return {
    events: records.map((record): JournalRecord => decodeRecord(record)),
    readings,
    rollups: newest<Rollup>(NAMES.rollups),
    alerts: all<Alert>(NAMES.alerts),
    alertStates: newest<Alert>(NAMES.alertState),
    ledger: newest<LedgerEntry>(NAMES.ledger),
    devices: newest<Device>(NAMES.devices),
    rejected: all<RejectedRecord>(NAMES.rejected),
  };
}

function toldText(): string {
  const lines = [TELL.life(1)];
  let life = 1;
  for (const batch of BATCHES) {
    if (batch.life !== life) lines.push("\nacknow\n", TELL.life(2));
    life = batch.life;
    lines.push(TELL.handed(GATEWAY, { epoch: EPOCH, from: batch.from, to: batch.to }));
  }
  lines.push(
    TELL.acknowledged(GATEWAY, {
      epoch: EPOCH,
      from: 2,
      count: 399,
      number: NUMBERS_A_LIFE + 2,
    }),
    "acknowledged gw-1 e0000",
  );
  return lines.join("");
}

describe("the judge of the cluster runs", () => {
  let view: ClusterView;
  const told = readTold([toldText()]);
  const topics = { events: NAMES.events, status: NAMES.status };
  const judged = (of: ClusterView) =>
    judge({ seed: SEED, keepHours: KEEP_HOURS, told, view: of, topics });
  beforeAll(() => {
    view = viewOf(journal());
  });

  test("passes what is whole, a batch that was in flight at a kill included", () => {
    const verdict = judged(view);
    expect(verdict.problems).toEqual([]);
    expect(verdict).toMatchObject({
      acknowledged: 399,
      readings: 399,
      repeats: 100,
      repeatedBatches: 1,
    });
    expect(verdict.alerts).toBeGreaterThan(4);
  });

  test.each(Object.keys(plants))("finds %s", (name) => {
    const plant = plants[name];
    const { problems } = judged(plant?.(view) ?? view);
    expect(problems).not.toEqual([]);
    const about = name.split(":")[0];
    expect(problems.some((problem) => problem.startsWith(`${about}: `))).toBe(true);
  });

  test("finds a loss and a double in the events although all that was made of them agrees", () => {
    const lost = journal().filter(({ headers }) => headers.ce_id !== `${EPOCH}-300`);
    expect(judged(viewOf(lost)).problems.join("\n")).toContain(`lost: ${EPOCH}-300`);
    const all = journal();
    const doubled = all.toSpliced(350, 0, all[349] as StoredRecord);
    expect(judged(viewOf(doubled)).problems.join("\n")).toContain("does not stand whole");
  });

  test("finds half of a batch that stands again", () => {
    // As if the first life's last batch had been torn: its first half there, then all of it.
    const torn = journal().filter(({ offset }) => offset < 150 || offset >= 200);
    expect(judged(viewOf(torn)).problems.join("\n")).toContain("does not stand whole");
  });
});
