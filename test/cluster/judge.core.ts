/**
 * Everything that a run has left in the topics, held against what was told and against the simulator's oracles, which share no
 * code with the processors. What the processors made must be what the distinct events of the events topic say, however often
 * anything was killed on the way.
 */
import type { Alert, Device, LedgerEntry, RejectedRecord, Rollup } from "../../events/schema.ts";
import { compareRollups } from "../../simulator/oracle.ts";
import { compareAlerts, expectedAlerts } from "../../simulator/oracle-alerts.ts";
import { compareDevices, expectedDevices } from "../../simulator/oracle-devices.ts";
import type { JournalRecord } from "../../simulator/oracle-journal.ts";
import { compareLedger, expectedLedger } from "../../simulator/oracle-ledger-topic.ts";
import {
  compareReadings,
  expectedReadings,
  type ReadingRecord,
} from "../../simulator/oracle-readings.ts";
import { compareRejections, expectedRejections } from "../../simulator/oracle-rejected.ts";
import { expectedFromJournals, type KeepHours } from "../../simulator/oracle-rollups.ts";
import { RULES } from "./content.core.ts";
import { type JournalVerdict, judgeJournals } from "./journals.core.ts";
import type { Told } from "./told.core.ts";

/** The topics, decoded: of the compacted ones the newest of each key. */
export interface ClusterView {
  readonly events: readonly JournalRecord[];
  readonly readings: readonly ReadingRecord[];
  readonly rollups: readonly Rollup[];
  readonly alerts: readonly Alert[];
  readonly alertStates: readonly Alert[];
  readonly ledger: readonly LedgerEntry[];
  readonly devices: readonly Device[];
  readonly rejected: readonly RejectedRecord[];
}

export interface ClusterVerdict extends Omit<JournalVerdict, "problems"> {
  /** By what was looked at. */
  readonly problems: readonly string[];
  readonly rollups: number;
  readonly alerts: number;
}

export interface Judged {
  readonly seed: number;
  readonly keepHours: KeepHours;
  readonly told: Told;
  readonly view: ClusterView;
  /** Of the events and status topics, as records that were refused name them. */
  readonly topics: { readonly events: string; readonly status: string };
}

/** More lines of one kind than a person reads say nothing more. */
const MOST = 8;

export function judge({ seed, keepHours, told, view, topics }: Judged): ClusterVerdict {
  const problems: string[] = [];
  const tell = (about: string, found: readonly (string | object)[]) => {
    const texts = found.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
    problems.push(...texts.slice(0, MOST).map((text) => `${about}: ${text}`));
    if (texts.length > MOST) problems.push(`${about}: and ${texts.length - MOST} more`);
  };
  const { events } = view;
  const { problems: inJournals, ...journals } = judgeJournals(seed, told, events);
  tell("events", inJournals);
  tell("readings", compareReadings(expectedReadings(events), view.readings));
  const wanted = expectedFromJournals(events, keepHours);
  tell("rollups", compareRollups(wanted.rollups, view.rollups));
  tell("alerts", compareAlerts(expectedAlerts(events, RULES), view.alerts, view.alertStates));
  tell("ledger", compareLedger(expectedLedger(events), view.ledger));
  tell("devices", compareDevices(expectedDevices(events), view.devices));
  const refusals = expectedRejections(events, [], wanted.refused);
  tell("rejected", compareRejections(refusals, view.rejected, topics));
  return {
    ...journals,
    problems,
    rollups: wanted.rollups.length,
    alerts: view.alerts.length,
  };
}
