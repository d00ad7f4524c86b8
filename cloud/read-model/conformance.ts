/** What a read model promises, on whatever store it stands. */
import { describe, expect, onTestFinished, test } from "vitest";
import { encodeEvent } from "../../events/codec.ts";
import { parseRules } from "../../rules/file.ts";
import type { StoredRecord } from "../../stream/port.ts";
import { NAMES, NOON, statusRecord, TestJournal } from "../test-support/journal.ts";
import { SETTINGS, TestPipeline } from "../test-support/pipeline.ts";
import type { Change } from "./port.ts";
import type { OrderedStore } from "./store.ts";
import { StoredReadModel, type StoredReadModelOptions } from "./stored-read-model.ts";

const HOUR = 3_600_000;
const RULES = parseRules("rules: [{ name: warm, when: t above 5 }]", "rules.yaml");

/** @param create a new store with nothing in it; the suite opens and closes it */
export function readModelConformance(name: string, create: () => OrderedStore): void {
  type Options = Partial<StoredReadModelOptions>;

  async function open(options: Options = {}): Promise<StoredReadModel> {
    const model = new StoredReadModel({
      store: create(),
      namespace: "test",
      settings: SETTINGS.read_model,
      now: () => NOON + HOUR,
      ...options,
    });
    await model.start();
    onTestFinished(() => model.stop());
    return model;
  }

  const series = { gateway: "gw-one", device: "a", metric: "t", from: 0, to: NOON * 2, limit: 100 };

  describe(`read model on ${name}`, () => {
    test("an empty one answers everything", async () => {
      const model = await open();
      expect(await model.gateways()).toEqual([]);
      expect(await model.devices({ limit: 10 })).toEqual({ items: [], total: 0 });
      expect(await model.device("gw-one", "a")).toBeUndefined();
      expect(await model.raw(series)).toEqual([]);
      expect(await model.rollups({ ...series, resolution: "1m" })).toEqual([]);
      expect(await model.activeAlerts()).toEqual([]);
      expect(await model.alertHistory({ limit: 10 })).toEqual({ items: [], total: 0 });
      expect(await model.ledger()).toEqual([]);
    });

    test("a reading is there as raw value, rollup, device, alert and in the ledger", async () => {
      const model = await open();
      const journal = new TestJournal();
      const pipeline = new TestPipeline(RULES);
      await model.apply(
        pipeline.run([
          journal.opening(),
          journal.reading("a", { t: 4, mode: "on" }),
          journal.reading("a", { t: 7.5 }),
          statusRecord("gw-one", "0000000001", 9),
        ]),
      );
      expect(await model.raw(series)).toEqual([
        { time: NOON + 1000, value: 4 },
        { time: NOON + 2000, value: 7.5 },
      ]);
      expect(await model.raw({ ...series, metric: "mode" })).toEqual([
        { time: NOON + 1000, value: "on" },
      ]);
      const rollup = { count: 2, min: 4, max: 7.5, sum: 11.5, revision: 2, window: NOON };
      for (const resolution of ["1m", "1h"] as const) {
        expect(await model.rollups({ ...series, resolution })).toEqual([
          { gateway: "gw-one", device: "a", metric: "t", resolution, ...rollup },
        ]);
      }
      expect(await model.device("gw-one", "a")).toMatchObject({
        readings: 2,
        metrics: { t: { value: 7.5, time: NOON + 2000 }, mode: { value: "on" } },
      });
      expect(await model.activeAlerts()).toMatchObject([{ alert: "warm@gw-one/a/t", value: 7.5 }]);
      expect(await model.gateways()).toMatchObject([
        {
          gateway: "gw-one",
          status: { accepted: 9 },
          lastEvent: NOON + 2000,
          totals: {
            accepted: 9,
            arrived: 3,
            onTheWay: 6,
            missing: 0,
            duplicates: 0,
            declaredLost: 0,
          },
        },
      ]);
      expect(await model.ledger()).toMatchObject([{ received: [[1, 3]], accepted: 9 }]);
    });

    test("two gateways that use one id are told, in whatever slices their statuses come, until one is silent", async () => {
      const model = await open();
      let offset = 0;
      const status = (epoch: string) => statusRecord("gw-one", epoch, 9, offset++);
      const both = () => [status("0000000001"), status("0000000002")];
      const told: unknown[] = [];
      model.subscribe((changes) => {
        for (const one of changes) if (one.kind === "gateway") told.push(one.gateway.sharedBy);
      });
      await model.apply([...both(), ...both()]);
      expect((await model.gateways())[0]).not.toHaveProperty("sharedBy");
      await model.apply([...both(), ...both()]);
      expect((await model.gateways())[0]?.sharedBy).toMatchObject([
        { epoch: "0000000001" },
        { epoch: "0000000002" },
      ]);
      expect(told.at(-1)).toHaveLength(2);
      await model.apply(Array.from({ length: 20 }, () => status("0000000001")));
      expect((await model.gateways())[0]).not.toHaveProperty("sharedBy");
    });

    test("accepted = arrived + on the way + missing + declared lost, over all epochs", async () => {
      const model = await open();
      const first = new TestJournal("gw-one", "0000000001");
      const second = new TestJournal("gw-one", "0000000002");
      const lost = [first.opening(), first.reading("a", { t: 1 })];
      first.skip(2);
      lost.push(first.reading("a", { t: 1 }), first.loss(9));
      const opened = [second.opening({ epoch: "0000000001", highest: 12 }), second.heartbeat()];
      const records = [...lost, ...opened, lost[1] as StoredRecord];
      await model.apply(
        new TestPipeline().run([...records, statusRecord("gw-one", "0000000002", 7)]),
      );
      const [gateway] = await model.gateways();
      expect(gateway?.totals).toEqual({
        accepted: 19,
        arrived: 5,
        onTheWay: 5,
        missing: 5,
        duplicates: 1,
        declaredLost: 4,
      });
    });

    test("raw readings come by event time, a duplicate once, names and hours apart, as many as asked for", async () => {
      const model = await open();
      const journal = new TestJournal();
      const at = (time: number, t: number, device = "a") =>
        journal.reading(device, { t }, { time, clock: "device" });
      const records = [
        at(NOON + 10, 3),
        at(NOON - 3 * HOUR, 1),
        at(NOON - 1, 2),
        at(NOON + 10, 4),
        at(NOON, 9, "a/b"),
        at(NOON, 9, "ab"),
        journal.reading("a", { other: 1 }, { time: NOON + 5 }),
      ];
      const again = { ...(records[0] as StoredRecord), offset: 100 };
      await model.apply([...records, again]);
      const values = async (query: Partial<typeof series>) =>
        (await model.raw({ ...series, ...query })).map((point) => point.value);
      expect(await values({})).toEqual([1, 2, 3, 4]);
      expect(await values({ limit: 3 })).toEqual([1, 2, 3]);
      expect(await values({ from: NOON - 1, to: NOON + 10 })).toEqual([2]);
      expect(await values({ from: NOON + 10, to: NOON + 11 })).toEqual([3, 4]);
      expect(await values({ device: "a/b" })).toEqual([9]);
      expect(await values({ gateway: "gw-two" })).toEqual([]);
    });

    test("a gateway whose clock is far off was heard when the log heard it", async () => {
      const model = await open();
      const record = statusRecord("gw-one", "0000000001", 9);
      let offset = 0;
      const status = async (timestamp: number) => {
        offset += 1;
        await model.apply([{ ...record, offset, timestamp }]);
        return (await model.gateways())[0]?.status;
      };
      const year = 365 * 24 * HOUR;
      expect(await status(NOON + 1000)).toMatchObject({ time: NOON, started: NOON });
      expect(await status(NOON + year)).toMatchObject({ time: NOON + year, started: NOON + year });
      expect(await status(-1)).toMatchObject({ time: NOON });
    });

    test("windows that are no longer kept go", async () => {
      const model = await open();
      const journal = new TestJournal();
      const pipeline = new TestPipeline();
      const old = NOON - 3 * 24 * HOUR;
      await model.apply(pipeline.run([journal.reading("a", { t: 1 }, { time: old })]));
      const windows = async (resolution: "1m" | "1h") =>
        (await model.rollups({ ...series, resolution })).map((one) => one.window);
      expect(await windows("1m")).toEqual([old]);
      const later = [20, 40, 60, 72].map((hours) => old + hours * HOUR);
      await model.apply(
        pipeline.run(later.map((time) => journal.reading("a", { t: 1 }, { time }))),
      );
      expect(await windows("1m")).toEqual(later.slice(1));
      expect(await windows("1h")).toEqual([old, ...later]);
      expect(await model.rollups({ ...series, resolution: "1h", from: NOON })).toHaveLength(1);
      expect(await model.rollups({ ...series, resolution: "1h", limit: 1 })).toHaveLength(1);
    });

    test("devices are paged by key and searched by part of a name", async () => {
      const model = await open();
      const records = ["gw-one", "gw-two"].flatMap((gateway, g) =>
        Array.from({ length: 25 }, (_, i): StoredRecord => {
          const device = `Freezer ${String(i).padStart(2, "0")}`;
          const event = { gateway, device, last_seen: NOON, readings: i, metrics: {} };
          return {
            topic: NAMES.devices,
            partition: 0,
            offset: g * 25 + i,
            timestamp: NOON,
            key: `${gateway}/${device}`,
            headers: {},
            value: encodeEvent("tidegate.device", event),
          };
        }),
      );
      await model.apply(records);
      const seen: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await model.devices({ limit: 20, ...(after === undefined ? {} : { after }) });
        expect(page.total).toBe(50);
        seen.push(...page.items.map((one) => `${one.gateway}/${one.device}`));
        after = page.next;
        if (after === undefined) break;
      }
      expect(seen).toEqual(records.map((one) => one.key));
      expect((await model.devices({ gateway: "gw-two", limit: 5 })).total).toBe(25);
      expect((await model.devices({ search: "FREEZER 07", limit: 5 })).items).toHaveLength(2);
      expect((await model.devices({ search: "two", limit: 50 })).items).toHaveLength(25);
      const deleted = { ...(records[0] as StoredRecord), offset: 99, value: null };
      await model.apply([deleted]);
      expect((await model.devices({ limit: 5 })).total).toBe(49);
      expect(await model.device("gw-one", "Freezer 00")).toBeUndefined();
    });

    test("the history of alerts comes newest first, in pages, of all or of one", async () => {
      const model = await open();
      const journal = new TestJournal();
      const records = Array.from({ length: 12 }, (_, i) =>
        journal.reading(i % 3 === 0 ? "b" : "a", { t: Math.floor(i / 3) % 2 === 0 ? 9 : 1 }),
      );
      await model.apply(new TestPipeline(RULES).run(records));
      const all = await model.alertHistory({ limit: 100 });
      expect(all.total).toBe(all.items.length);
      const times = all.items.map((one) => one.changed);
      expect(times).toEqual(times.toSorted((a, b) => b - a));
      const paged: number[] = [];
      for (let after: string | undefined; ; ) {
        const query = { limit: 3, ...(after === undefined ? {} : { after }) };
        const page = await model.alertHistory(query);
        paged.push(...page.items.map((one) => one.changed));
        after = page.next;
        if (after === undefined) break;
      }
      expect(paged).toEqual(times);
      const one = await model.alertHistory({ limit: 2, alert: "warm@gw-one/a/t" });
      expect(one.items.every((alert) => alert.device === "a")).toBe(true);
      expect(one.total).toBe(all.items.filter((alert) => alert.device === "a").length);
      expect(await model.activeAlerts()).toEqual([]);
    });

    test("raw readings stay through a clock that is ten years ahead for a while, and at 1970", async () => {
      const year = 365 * 24 * HOUR;
      let now = NOON + HOUR;
      let moment = 0;
      const settings = { raw_keep_days: 2, raw_max_bytes: 1e6, alert_history_max: 100 };
      const clocks = { settings, now: () => now, moment: () => moment };
      const model = await open(clocks);
      const journal = new TestJournal();
      const at = (hour: number) =>
        journal.reading("a", { t: 1 }, { time: NOON + hour * HOUR, clock: "device" });
      const count = async () => (await model.raw({ ...series, limit: 1000 })).length;
      await model.apply([-20, -10, 0].map(at));
      for (const by of [10 * year, 0, -10 * year - 56 * year, 0, 56 * year]) {
        now += by + 60_000;
        moment += 60_000;
        await model.apply([at(0)]);
      }
      expect(await count()).toBe(8);
      now += 2 * 24 * HOUR;
      moment += 2 * 24 * HOUR;
      await model.apply([at(20)]);
      expect(await count()).toBe(1);
    });

    test("raw readings beyond the age or the bytes go, oldest first; the history keeps its number", async () => {
      let now = NOON + HOUR;
      const settings = { raw_keep_days: 1, raw_max_bytes: 2000, alert_history_max: 100 };
      const model = await open({ settings, now: () => now });
      const journal = new TestJournal();
      const hours = async () =>
        (await model.raw({ ...series, limit: 1000 })).map((point) => (point.time - NOON) / HOUR);
      const at = (hour: number) =>
        journal.reading("a", { t: 1 }, { time: NOON + hour * HOUR, clock: "device" });
      await model.apply([-40, -20, -10, -1].map(at));
      expect(await hours()).toEqual([-20, -10, -1]);
      now += 15 * HOUR;
      await model.apply([at(0)]);
      expect(await hours()).toEqual([-1, 0]);
      // A little more than the cap: the oldest hour goes and is enough.
      await model.apply(Array.from({ length: 31 }, () => at(0)));
      expect(await hours()).toEqual(Array.from({ length: 32 }, () => 0));
      const pipeline = new TestPipeline(RULES);
      const flapping = new TestJournal("gw-two");
      const records = Array.from({ length: 230 }, (_, i) =>
        flapping.reading("a", { t: i % 2 ? 1 : 9 }),
      );
      await model.apply(
        pipeline.run(records).map((one) => ({ ...one, offset: one.offset + 1000 })),
      );
      const { total, items } = await model.alertHistory({ limit: 1000 });
      expect(total).toBe(95);
      expect(items).toHaveLength(95);
      expect(items[0]?.changed).toBe(flapping.now - 1000);
      expect((await model.alertHistory({ limit: 1, alert: "warm@gw-two/a/t" })).total).toBe(95);
    });

    test("a restart finds everything as it was, and records that come again change nothing", async () => {
      const store = create();
      const journal = new TestJournal();
      const pipeline = new TestPipeline(RULES);
      const records = pipeline.run([
        journal.reading("a", { t: 9 }),
        journal.reading("b", { t: 9 }),
        statusRecord("gw-one", "0000000001", 4),
      ]);
      const answers = async (model: StoredReadModel) => [
        await model.gateways(),
        await model.devices({ limit: 10 }),
        await model.raw(series),
        await model.rollups({ ...series, resolution: "1h" }),
        await model.activeAlerts(),
        await model.alertHistory({ limit: 10 }),
        await model.ledger(),
      ];
      const first = await open({ store });
      await first.apply(records);
      const before = await answers(first);
      await first.stop();
      await expect(first.raw(series)).rejects.toMatchObject({ code: "closed" });
      const second = await open({ store });
      expect(await answers(second)).toEqual(before);
      const told: Change[] = [];
      second.subscribe((changes) => told.push(...changes));
      await second.apply(records);
      expect(await answers(second)).toEqual(before);
      expect(told).toEqual([]);
    });

    test("watchers are told after it can be read, in order, until they leave", async () => {
      const model = await open();
      const journal = new TestJournal();
      const pipeline = new TestPipeline(RULES);
      const told: { changes: readonly Change[]; sequence: number; readable: Promise<number> }[] =
        [];
      model.subscribe(() => {
        throw new Error("planted: a watcher that fails");
      });
      const leave = model.subscribe((changes, sequence) => {
        const readable = model.raw(series).then((points) => points.length);
        told.push({ changes, sequence, readable });
      });
      await model.apply(pipeline.run([journal.reading("a", { t: 9 })]));
      await model.apply(pipeline.run([journal.reading("a", { t: 1 })]));
      leave();
      await model.apply(pipeline.run([journal.reading("a", { t: 9 })]));
      expect(told.map((one) => one.sequence)).toEqual([1, 2]);
      expect(await Promise.all(told.map((one) => one.readable))).toEqual([1, 2]);
      expect(told[0]?.changes.map((change) => change.kind).toSorted()).toEqual([
        "alert",
        "device",
        "gateway",
        "ledger",
        "reading",
        "rollup",
        "rollup",
      ]);
      expect(told[0]?.changes).toContainEqual({
        kind: "reading",
        gateway: "gw-one",
        device: "a",
        time: NOON,
        metrics: { t: 9 },
      });
    });

    test("what cannot be read is passed over", async () => {
      const model = await open();
      const journal = new TestJournal();
      const good = journal.reading("a", { t: 1 });
      const bad = { ...good, value: new Uint8Array([0xff]) };
      const topics = Object.values(NAMES).map((topic) => ({ ...bad, topic, key: "gw-one" }));
      await model.apply([...topics, { ...good, offset: 7 }]);
      expect(await model.raw(series)).toHaveLength(1);
      expect(await model.ledger()).toEqual([]);
    });
  });
}
