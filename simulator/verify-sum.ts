/** The verdicts on the parts of a run, added up; of each list as much is kept as anybody would read. */

import type { Loss } from "../events/schema.ts";
import type { RollupDifference } from "./oracle.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import type { LedgerVerdict } from "./oracle-ledger.ts";
import type { Arrival, JudgedWindows, RunVerdict } from "./verify.ts";

/** Of each kind: a run of a million readings of which nothing arrived must not fill the memory. */
const MOST_KEPT = 1000;

type Alerts = NonNullable<RunVerdict["alerts"]>;
type Readings = LedgerVerdict<Arrival>;
const NUMBERS = ["sent", "acknowledged", "arrived", "resentArrived", "redelivered"] as const;
const KINDS = ["missing", "surplus", "changed", "unknown"] as const;

export class VerdictSum {
  readonly #gateways: ReadonlySet<string>;
  readonly #judgesAlerts: boolean;
  devices = 0;
  readonly #counts = { missing: 0, surplus: 0, changed: 0, unknown: 0, rollups: 0, alerts: 0 };
  readonly #numbers = { sent: 0, acknowledged: 0, arrived: 0, resentArrived: 0, redelivered: 0 };
  readonly #lists = {
    missing: [] as Readings["missing"][number][],
    surplus: [] as Readings["surplus"][number][],
    changed: [] as Readings["changed"][number][],
    unknown: [] as Readings["unknown"][number][],
  };
  readonly #rollups: RollupDifference[] = [];
  readonly #differences: Alerts["differences"][number][] = [];
  readonly #others = new Set<string>();
  /** Parts that share a gateway have its losses both. */
  readonly #losses = new Map<string, number>();
  #windows = 0;
  #expected = 0;
  #passedOver = 0;

  constructor(gateways: ReadonlySet<string>, judgesAlerts: boolean) {
    this.#gateways = gateways;
    this.#judgesAlerts = judgesAlerts;
  }

  readings(part: Readings): void {
    for (const name of NUMBERS) this.#numbers[name] += part[name];
    for (const kind of KINDS) {
      this.#counts[kind] += part[kind].length;
      keep(this.#lists[kind] as unknown[], part[kind]);
    }
  }

  windows({ windows, differences }: JudgedWindows): void {
    this.#windows += windows;
    this.#counts.rollups += differences.length;
    keep(this.#rollups, differences);
  }

  alerts({ expected, differences, passedOver, otherRules }: Alerts): void {
    this.#expected += expected;
    this.#passedOver += passedOver;
    this.#counts.alerts += differences.length;
    keep(this.#differences, differences);
    for (const rule of otherRules) this.#others.add(rule);
  }

  loss({ partition, offset, data }: JournalRecord): void {
    const { from, to } = data as Loss;
    this.#losses.set(`${partition} ${offset}`, to - from + 1);
  }

  verdict(): RunVerdict {
    const counts = { ...this.#counts };
    const { missing, surplus, changed, unknown, rollups, alerts } = counts;
    const readingsOk = missing + surplus + changed + unknown === 0;
    return {
      ok: readingsOk && rollups + alerts === 0,
      counts,
      devices: this.devices,
      readings: { ok: readingsOk, ...this.#numbers, ...this.#lists },
      gateways: [...this.#gateways].sort(),
      declaredLost: [...this.#losses.values()].reduce((sum, count) => sum + count, 0),
      windows: this.#windows,
      rollups: this.#rollups,
      alerts: this.#judgesAlerts
        ? {
            expected: this.#expected,
            differences: this.#differences,
            passedOver: this.#passedOver,
            otherRules: [...this.#others].sort(),
          }
        : undefined,
    };
  }
}

function keep<Item>(list: Item[], more: readonly Item[]): void {
  for (const one of more.slice(0, MOST_KEPT - list.length)) list.push(one);
}
