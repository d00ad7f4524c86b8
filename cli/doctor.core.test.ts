import { describe, expect, test } from "vitest";
import { OPERATIONS, type Operation, type TopicMetadata } from "../stream/kafka/admin-requests.ts";
import type { Inspection } from "../stream/kafka/inspection.ts";
import type { TopicSpec } from "../stream/port.ts";
import { doctorText, findings, type Role, verdictOf, type Wanted } from "./doctor.core.ts";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 21);
const EVENTS: TopicSpec = {
  name: "t.events.v1",
  partitions: 6,
  cleanup: "delete",
  retentionMs: 90 * DAY_MS,
};
const STATUS: TopicSpec = { name: "t.status.v1", partitions: 6, cleanup: "compact" };

const bits = (...operations: Operation[]) =>
  operations.reduce((sum, one) => sum | (1 << OPERATIONS[one]), 0);

function topic(name: string, over: Partial<TopicMetadata> = {}, partitions = 6): TopicMetadata {
  return {
    name,
    errorCode: 0,
    partitions: Array.from({ length: partitions }, (_, partition) => ({
      partition,
      leader: 1,
      replicas: [1, 2, 3],
      inSync: [1, 2, 3],
    })),
    operations: bits("Write", "Describe"),
    ...over,
  };
}

const CONFIGS: Readonly<Record<string, string>> = {
  "message.timestamp.type": "LogAppendTime",
  "min.insync.replicas": "2",
  "max.message.bytes": "1048588",
  "retention.bytes": "-1",
};

function inspection(
  over: Partial<Inspection> = {},
  configs: Record<string, string> = {},
): Inspection {
  const broker = (id: number) => ({ id, host: `k${id}`, port: 9093 });
  const events = { "cleanup.policy": "delete", "retention.ms": String(90 * DAY_MS) };
  const status = { "cleanup.policy": "compact", "retention.ms": "-1" };
  const of = (name: string, values: object) =>
    [
      name,
      { topic: name, errorCode: 0, values: new Map(Object.entries({ ...CONFIGS, ...values })) },
    ] as const;
  return {
    brokers: [
      {
        address: "k1:9093",
        advertised: false,
        ms: 12,
        tls: { protocol: "TLSv1.3", validTo: NOW + 200 * DAY_MS },
      },
    ],
    cluster: {
      brokers: [1, 2, 3].map(broker),
      clusterId: "c",
      topics: [topic(EVENTS.name), topic(STATUS.name)],
      operations: 0,
    },
    unknownRequests: [],
    configs: new Map([of(EVENTS.name, { ...events, ...configs }), of(STATUS.name, status)]),
    clock: { aheadMs: 3, withinMs: 5 },
    groups: new Map(),
    transactionalIds: new Map(),
    ...over,
  };
}

const GATEWAY: Role = {
  specs: [EVENTS, STATUS],
  rights: [EVENTS, STATUS].map(({ name }) => ({ topic: name, operations: ["Write"] })),
  groups: [],
  transactionalIds: [],
  exact: true,
};

function judge(seen: Inspection, over: Partial<Wanted> = {}) {
  const wanted: Wanted = {
    role: GATEWAY,
    broker: "k1:9093",
    principal: "User:gw-7",
    replicationFactor: undefined,
    minInsyncReplicas: undefined,
    now: NOW,
    ...over,
  };
  const all = findings(seen, wanted);
  return { all, verdict: verdictOf(all), bad: all.filter(({ state }) => state !== "ok") };
}

function withTopic(of: TopicMetadata): Inspection {
  const { cluster } = inspection();
  if (!cluster) throw new Error("there is one");
  const topics = cluster.topics.map((one) => (one.name === of.name ? of : one));
  return inspection({ cluster: { ...cluster, topics } });
}

describe("doctor", () => {
  test("has nothing to say of what is as it has to be", () => {
    const { all, verdict, bad } = judge(inspection());
    expect(bad).toEqual([]);
    expect(verdict).toBe("ok");
    expect(doctorText("gateway", all)).toMatch(
      /^connection\n {2}ok .*k1:9093 .*\nclock\n[\s\S]*All that a gateway needs is there\.\n$/,
    );
  });

  test("says what differs on a topic, and the one command that puts it right", () => {
    const week = String(7 * DAY_MS);
    const configs = {
      "retention.ms": week,
      "message.timestamp.type": "CreateTime",
      "cleanup.policy": "compact,delete",
      "retention.bytes": "1000",
      "max.message.bytes": "100000",
    };
    const { bad, verdict } = judge(inspection({}, configs), { minInsyncReplicas: 3 });
    expect(verdict).toBe("fail");
    expect(bad.find(({ subject }) => subject === EVENTS.name)).toEqual({
      area: "topics",
      subject: EVENTS.name,
      state: "fail",
      text: [
        "cleanup.policy is compact,delete, and should be delete",
        "retention.ms is 604800000 (7 days), and should be 7776000000 (90 days)",
        "message.timestamp.type is CreateTime, and should be LogAppendTime",
        "min.insync.replicas is 2, and should be 3",
        "max.message.bytes is 100000, and should be 1048588 (Kafka's default)",
        "retention.bytes is 1000, and deletes what retention.ms would keep",
      ].join("; "),
      fix: "kafka-configs.sh --bootstrap-server k1:9093 --alter --entity-type topics --entity-name t.events.v1 --add-config 'cleanup.policy=delete,retention.ms=7776000000,message.timestamp.type=LogAppendTime,min.insync.replicas=3,max.message.bytes=1048588,retention.bytes=-1'",
    });
  });

  test("a policy of two is the same in any order", () => {
    const both: TopicSpec = { ...EVENTS, cleanup: "compact,delete" };
    const role = { ...GATEWAY, specs: [both] };
    expect(judge(inspection({}, { "cleanup.policy": "delete,compact" }), { role }).bad).toEqual([]);
    const [found] = judge(inspection(), { role }).bad;
    expect(found?.fix).toContain("--add-config 'cleanup.policy=[compact,delete]'");
  });

  test("finds a topic that is not there, and does not take one that it may not see for it", () => {
    const missing = withTopic(topic(EVENTS.name, { errorCode: 3 }, 0));
    expect(judge(missing).bad[0]).toMatchObject({ state: "fail", text: "is not there" });
    const hidden = withTopic(topic(EVENTS.name, { errorCode: 29, operations: undefined }, 0));
    expect(judge(hidden).bad).toMatchObject([
      { area: "topics", state: "unknown" },
      {
        area: "rights",
        state: "fail",
        text: "User:gw-7 may not Write",
        fix: "kafka-acls.sh --bootstrap-server k1:9093 --add --allow-principal 'User:gw-7' --operation Write --topic t.events.v1",
      },
    ]);
  });

  test("finds partitions that are others than configured, or than those of the journals", () => {
    const all = (count: number) => {
      const { cluster } = inspection();
      if (!cluster) throw new Error("there is one");
      return inspection({
        cluster: { ...cluster, topics: [EVENTS, STATUS].map(({ name }) => topic(name, {}, count)) },
      });
    };
    expect(judge(all(12)).bad).toMatchObject([
      { state: "fail", fix: expect.stringContaining("set topics.partitions to 12") },
      { state: "fail" },
    ]);
    expect(judge(withTopic(topic(STATUS.name, {}, 3))).bad).toMatchObject([
      { subject: STATUS.name, state: "fail", text: expect.stringContaining("the journals have 6") },
    ]);
  });

  test("finds too few copies, copies behind, and partitions that nobody leads", () => {
    const copies = (replicas: number[], inSync = replicas, leader = 1) =>
      withTopic(
        topic(EVENTS.name, {
          partitions: [0, 1, 2, 3, 4, 5].map((partition) => ({
            partition,
            leader,
            replicas,
            inSync,
          })),
        }),
      );
    expect(judge(copies([1])).bad).toMatchObject([
      { state: "warn", text: expect.stringMatching(/^has one copy/) },
    ]);
    expect(judge(copies([1, 2]), { replicationFactor: 3 }).bad).toMatchObject([
      { state: "fail", text: "has 2 copies, topics.replication_factor says 3" },
    ]);
    expect(judge(copies([1, 2, 3], [1])).bad).toMatchObject([
      { state: "warn", text: "6 of 6 partitions have copies that are not in sync" },
    ]);
    expect(judge(copies([1, 2, 3], [1, 2, 3], -1)).verdict).toBe("fail");
    expect(judge(inspection({}, { "min.insync.replicas": "1" })).bad).toMatchObject([
      { state: "warn", text: expect.stringMatching(/^min\.insync\.replicas is 1/) },
    ]);
  });

  test("a gateway that may read is told, a cloud that may is not", () => {
    const seen = withTopic(topic(EVENTS.name, { operations: bits("Read", "Write") }));
    expect(judge(seen)).toMatchObject({
      verdict: "ok",
      bad: [{ state: "warn", text: "Write is enough, and User:gw-7 may Read too" }],
    });
    expect(judge(seen, { role: { ...GATEWAY, exact: false } }).bad).toEqual([]);
  });

  test("groups and transactional ids that we may not use come with the rule that lets us", () => {
    const groups = new Map([["t.ledger.v1", false]]);
    const transactionalIds = new Map([["t.ledger.v1-0", false]]);
    expect(judge(inspection({ groups, transactionalIds })).bad.map(({ fix }) => fix)).toEqual([
      expect.stringMatching(/--operation Read --group t\.ledger\.v1$/),
      expect.stringMatching(
        /--operation Write --transactional-id t\.ledger\.v1- --resource-pattern-type prefixed$/,
      ),
    ]);
  });

  test("clocks: what the measurement may be off by is no difference", () => {
    const clock = (aheadMs: number, withinMs = 5) =>
      judge(inspection({ clock: { aheadMs, withinMs } }));
    expect(clock(900, 2000).bad).toEqual([]);
    expect(clock(-4000).bad).toMatchObject([
      { state: "warn", text: "this machine is 3995 ms ahead of Kafka" },
    ]);
    expect(clock(56 * 365 * DAY_MS).bad).toMatchObject([
      { state: "fail", text: expect.stringMatching(/ms behind Kafka$/) },
    ]);
  });

  test("a broker that only the cluster knows, and that cannot be reached, is told as such", () => {
    const brokers = [
      ...inspection().brokers,
      { address: "internal:9093", advertised: true, error: "no address is known" },
    ];
    expect(judge(inspection({ brokers })).bad).toMatchObject([
      {
        state: "fail",
        text: "the cluster names it to its clients, and: no address is known",
        fix: expect.stringContaining("advertised.listeners"),
      },
    ]);
  });

  test("where no broker lets us in, only that is told", () => {
    const brokers = [{ address: "k1:9093", advertised: false, error: "wrong password" }];
    const { cluster: _, ...rest } = inspection({ brokers });
    const { all, verdict } = judge(rest);
    expect([all.length, verdict]).toEqual([1, "fail"]);
    expect(doctorText("gateway", all)).toMatch(/wrong password\nOne thing to put right\.\n$/i);
  });

  test("certificates that end soon are told before they do", () => {
    const tls = { protocol: "TLSv1.3", validTo: NOW + 12.5 * DAY_MS };
    const brokers = [{ address: "k1:9093", advertised: false, ms: 1, tls }];
    expect(judge(inspection({ brokers })).bad).toMatchObject([
      { state: "warn", text: expect.stringContaining("ends in 12 days (2026-12-03)") },
    ]);
  });
});
