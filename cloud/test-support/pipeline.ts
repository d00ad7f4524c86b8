/** All topologies over one partition, in memory: journal records in, every topic's records out. */
import type { Rule } from "../../rules/rule.ts";
import type { StoredRecord } from "../../stream/port.ts";
import type { CloudSettings } from "../config.ts";
import { TopologyTestDriver } from "../test-driver.ts";
import { cloudTopologies } from "../topics.ts";
import { NAMES } from "./journal.ts";

export const SETTINGS: CloudSettings = {
  rollups: { minute_keep_days: 2, hour_keep_days: 400 },
  alert_retention_days: 1,
  rejected_retention_days: 1,
  read_model: { raw_keep_days: 7, raw_max_bytes: 1024 * 1024, alert_history_max: 1000 },
};

export class TestPipeline {
  readonly #drivers: readonly TopologyTestDriver[];
  readonly #sent: number[];
  readonly #rejected = { next: 0 };

  constructor(rules: readonly Rule[] = [], settings: CloudSettings = SETTINGS) {
    this.#drivers = cloudTopologies("test", settings, rules).map(
      (topology) => new TopologyTestDriver(topology),
    );
    this.#sent = this.#drivers.map(() => 0);
  }

  /** @returns the records and everything that comes of them, as a tail would hand them on */
  run(records: readonly StoredRecord[]): readonly StoredRecord[] {
    const made = this.#drivers.flatMap((driver, i) => {
      // Only the ledger reads the status topic.
      driver.records(i === 0 ? records : records.filter((one) => one.topic === NAMES.events));
      const all = driver.stored();
      const from = this.#sent[i] ?? 0;
      this.#sent[i] = all.length;
      return all.slice(from);
    });
    return [...records, ...made].map((record) =>
      record.topic === NAMES.rejected ? { ...record, offset: this.#rejected.next++ } : record,
    );
  }
}
