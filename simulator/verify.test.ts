import { describe, expect, test } from "vitest";
import type { Alert } from "../events/schema.ts";
import { expectedAlerts, type OracleRule } from "./oracle-alerts.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import type { LedgerMessage, SentLedger } from "./oracle-ledger.ts";
import { expectedFromJournals } from "./oracle-rollups.ts";
import { type CloudView, verifyRun } from "./verify.ts";
import { lastLine, verdictText } from "./verify-text.ts";

const START = Date.UTC(2026, 10, 21, 12);
const KEEP = { "1m": 168, "1h": 9600 };
const RULE: OracleRule = {
  name: "warm",
  metric: "v",
  when: { direction: "above", threshold: 10 },
  forMs: 0,
  freshnessMs: 3_600_000,
  device: "*",
  gateway: "*",
  severity: "warning",
};

interface Given {
  readonly gateway?: string;
  readonly device?: string;
  readonly epoch?: string;
  /** Of the gateway's clock against the devices', ms. */
  readonly off?: number;
  readonly timeless?: boolean;
}

/** A journal that grows, a record at a time. */
class Journal {
  readonly records: JournalRecord[] = [];
  #sequence = 0;

  /** @param at when it was measured and sent, ms from the start */
  reading(at: number, v: number, given: Given = {}): this {
    const { gateway = "g", device = "a", epoch = "0123456789", off = 0, timeless = false } = given;
    this.#sequence += 1;
    const received = START + at + off + 5;
    this.records.push({
      key: gateway,
      partition: 0,
      offset: this.records.length,
      timestamp: received + 10,
      headers: { ce_id: `${epoch}-${this.#sequence}`, ce_source: `/gateways/${gateway}` },
      type: "tidegate.reading",
      data: {
        device,
        metrics: { v },
        received,
        clock: "synced",
        boot: "b",
        uptime: 1000 + at,
        ...(timeless ? {} : { time: START + at }),
      },
    });
    return this;
  }
}

function message(at: number, v: number, given: Partial<LedgerMessage> = {}): LedgerMessage {
  const time = START + at;
  return { device: "a", time, metrics: { v }, at: time, writes: 1, acknowledged: true, ...given };
}

function ledgerOf(messages: readonly LedgerMessage[], given: Partial<SentLedger> = {}): SentLedger {
  return {
    messages,
    dropped: 0,
    complete: true,
    kind: "scenario",
    scenario: "s",
    seed: 1,
    rules: [RULE],
    from: START,
    to: START + 60_000,
    ...given,
  };
}

/** What processors make of it that make no mistakes. */
function cloudOf({ records }: Journal, given: Partial<CloudView> = {}): CloudView {
  const alerts = expectedAlerts(records, [RULE]) as Alert[];
  return {
    journal: records,
    rollups: expectedFromJournals(records, KEEP).rollups.map(({ kept: _, ...rollup }) => rollup),
    alerts,
    states: [...new Map(alerts.map((alert) => [alert.alert, alert])).values()],
    keepHours: KEEP,
    ...given,
  };
}

const MESSAGES = [message(0, 1), message(1000, 20), message(2000, 21), message(3000, 2)];
const journal = () => new Journal().reading(0, 1).reading(1000, 20).reading(2000, 21);
const good = () => journal().reading(3000, 2);

describe("a run against the cloud", () => {
  test("all is well", () => {
    const ledger = ledgerOf(MESSAGES);
    const verdict = verifyRun(ledger, cloudOf(good()));
    expect(verdict).toMatchObject({ ok: true, gateways: ["g"], windows: 2 });
    expect(verdict.alerts).toEqual({
      expected: 2,
      differences: [],
      passedOver: 0,
      otherRules: [],
    });
    expect(
      verdictText(ledger, verdict),
    ).toBe(`s, seed 1, 1 device, 2026-11-21T12:00:00.000Z to 2026-11-21T12:01:00.000Z, on g
readings  4 sent, 4 acknowledged, 4 arrived
rollups   2 windows
alerts    2 changes had to come
OK: nothing is missing, nothing counts twice; every alert came at its time, and no other.
`);
  });

  test("without rules no alert is judged, and it says so", () => {
    const ledger = ledgerOf(MESSAGES, { rules: undefined });
    const verdict = verifyRun(ledger, cloudOf(good(), { alerts: [], states: [] }));
    expect(verdict).toMatchObject({ ok: true, alerts: undefined });
    expect(verdictText(ledger, verdict)).toMatch(
      /not looked at.*\nOK: nothing is missing, nothing counts twice\.\n$/,
    );
    const judged = verifyRun(ledger, cloudOf(good(), { alerts: [], states: [] }), [RULE]);
    expect(lastLine(judged)).toBe("NOT OK: 2 alerts wrong.");
  });

  test("alerts of rules that it was not given are told, not passed over in silence", () => {
    const verdict = verifyRun(ledgerOf(MESSAGES), cloudOf(good()), [{ ...RULE, name: "another" }]);
    expect(verdict.alerts?.otherRules).toEqual([RULE.name]);
    // Nothing of the other rule came either, which is what is wrong here.
    const known = verifyRun(ledgerOf(MESSAGES), cloudOf(good()), []);
    expect(known.ok).toBe(true);
    expect(lastLine(known)).toMatch(new RegExp(`not judged, .*: ${RULE.name}\\.$`));
  });

  test("other devices, other gateways with the same names, other times: none of its business", () => {
    const busy = new Journal()
      .reading(-3_600_000, 30)
      .reading(-3_500_000, 1)
      .reading(500, 70, { device: "other" })
      .reading(500, 80, { gateway: "h" })
      .reading(0, 1)
      .reading(1000, 20)
      .reading(2000, 21)
      .reading(3000, 2)
      .reading(500_000, 90)
      .reading(501_000, 1);
    const verdict = verifyRun(ledgerOf(MESSAGES), cloudOf(busy));
    expect(verdict).toMatchObject({ ok: true, gateways: ["g"], alerts: { expected: 2 } });
  });

  test("a window that another run filled too counts both", () => {
    const both = good().reading(90_000, 5);
    expect(verifyRun(ledgerOf(MESSAGES), cloudOf(both))).toMatchObject({ ok: true });
    const { rollups } = cloudOf(good());
    expect(verifyRun(ledgerOf(MESSAGES), cloudOf(both, { rollups }))).toMatchObject({
      ok: false,
      rollups: [{ kind: "different", expected: { resolution: "1h", count: 5 } }],
    });
  });

  test.each([-86_400_000, -3_600_000, 7_200_000])("the gateway's clock is off by %s ms", (off) => {
    const far = new Journal();
    for (const { time = 0, metrics } of MESSAGES)
      far.reading(time - START, Number(metrics.v), { off });
    far.reading(100_000, 77, { off });
    expect(verifyRun(ledgerOf(MESSAGES), cloudOf(far)).readings).toMatchObject({
      ok: true,
      arrived: 4,
    });
  });

  test("the same recording, replayed before: each run has its own", () => {
    const twice = good();
    for (const { time = 0, metrics } of MESSAGES) {
      const { records } = new Journal().reading(time - START, Number(metrics.v), {
        epoch: "abcdefghjk",
      });
      for (const record of records) {
        const data = record.data as { received: number };
        twice.records.unshift({
          ...record,
          headers: { ...record.headers, ce_id: `abcdefghjk-${twice.records.length}` },
          data: { ...data, received: data.received - 600_000 },
        });
      }
    }
    expect(verifyRun(ledgerOf(MESSAGES), cloudOf(twice)).readings).toMatchObject({
      ok: true,
      arrived: 4,
    });
  });

  test("a ledger that was cut off knows nothing of what came after its last line", () => {
    const more = good().reading(3100, 3);
    const cut = ledgerOf(MESSAGES, { complete: false, to: START + 3090 });
    expect(verifyRun(cut, cloudOf(more)).readings).toMatchObject({ ok: true });
    expect(verifyRun({ ...cut, complete: true }, cloudOf(more)).readings).toMatchObject({
      unknown: [{ metrics: { v: 3 } }],
    });
  });

  test("missing, double, unexpected: each is found and told", () => {
    const ledger = ledgerOf(MESSAGES);
    const missing = verifyRun(ledger, cloudOf(journal()));
    expect(verdictText(ledger, missing)).toMatch(
      /\nMISSING: acknowledged, and not in the log\n {2}a 2026-11-21T12:00:03\.000Z \{"v":2\}\nNOT OK: 1 reading missing\.\n$/,
    );
    const double = verifyRun(ledger, cloudOf(good().reading(3000, 2)));
    expect(lastLine(double)).toBe("NOT OK: 1 double.");
    const unexpected = verifyRun(ledger, cloudOf(good().reading(3500, 2)));
    expect(lastLine(unexpected)).toBe("NOT OK: 1 unexpected.");
    const nothing = verifyRun(ledger, cloudOf(new Journal()));
    expect(lastLine(nothing)).toMatch(/nothing of this run is in the log/);
    const silent = ledgerOf(MESSAGES.map((one) => ({ ...one, acknowledged: false })));
    expect(lastLine(verifyRun(silent, cloudOf(new Journal())))).toMatch(/nothing can be said/);
  });

  test("a declared loss is told beside what is missing", () => {
    const lossy = journal();
    const [first] = lossy.records;
    const stamp = { received: START + 2500, clock: "synced", boot: "b", uptime: 1 };
    const data = { ...stamp, from: 4, to: 4, reason: "full" };
    const headers = { ce_id: "0123456789-4", ce_source: "/gateways/g" };
    if (first) lossy.records.push({ ...first, offset: 3, headers, type: "tidegate.loss", data });
    const ledger = ledgerOf(MESSAGES);
    const verdict = verifyRun(ledger, cloudOf(lossy));
    expect(verdict.declaredLost).toBe(1);
    expect(verdictText(ledger, verdict)).toContain("(the gateway declared 1 lost)");
  });

  describe("alerts", () => {
    const ledger = ledgerOf(MESSAGES);
    const judged = (change: (alerts: readonly Alert[]) => readonly Alert[]) => {
      const cloud = cloudOf(good());
      const alerts = change(cloud.alerts);
      const states = [...new Map(alerts.map((alert) => [alert.alert, alert])).values()];
      const verdict = verifyRun(ledger, { ...cloud, alerts, states });
      return verdictText(ledger, verdict);
    };

    test("one that did not come, one too many, one at another time", () => {
      expect(judged((alerts) => alerts.slice(0, 1))).toMatch(
        /\nMISSING ALERTS: .*\n {2}warm@g\/a\/v: not resolved at/,
      );
      expect(
        judged((alerts) => [
          ...alerts,
          ...alerts.map((one) => ({ ...one, episode: "0123456789-3" })),
        ]),
      ).toMatch(/\nUNEXPECTED ALERTS: .*\n {2}warm@g\/a\/v: firing at/);
      const late = judged((alerts) =>
        alerts.map((one) => ({ ...one, changed: one.changed + 700 })),
      );
      expect(late).toMatch(
        /\nLATE ALERTS: .*\n {2}warm@g\/a\/v: firing at 2026-11-21T12:00:01\.700Z .* instead of firing at 2026-11-21T12:00:01\.000Z/,
      );
      expect(late).toMatch(/\nNOT OK: \d alerts wrong\.\n$/);
    });

    test("one of a device or rule that is not the run's is not judged", () => {
      const text = judged((alerts) => [
        ...alerts,
        ...alerts.map((one) => ({ ...one, rule: "old", alert: one.alert.replace("warm", "old") })),
        ...alerts.map((one) => ({ ...one, device: "b", alert: one.alert.replace("/a/", "/b/") })),
      ]);
      expect(text).toMatch(/\nOK: /);
    });

    test("one that was on before the run is passed over, and told", () => {
      const before = new Journal().reading(-20_000, 50);
      for (const { time = 0, metrics } of MESSAGES) before.reading(time - START, Number(metrics.v));
      const verdict = verifyRun(ledger, cloudOf(before));
      expect(verdict).toMatchObject({ ok: true, alerts: { expected: 0, passedOver: 1 } });
      expect(verdictText(ledger, verdict)).toContain(
        "1 alert was on before the run and not judged",
      );
    });
  });
});
