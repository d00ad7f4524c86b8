/**
 * What `tidegate doctor` makes of what it saw: each thing that was looked at is one finding, with what to do where it is
 * not as it has to be. It decides nothing from what could not be seen, and says so.
 */
import { mayDo, type Operation } from "../stream/kafka/admin-requests.ts";
import { TOPIC_NOT_ALLOWED, topicSettings, UNKNOWN_TOPIC } from "../stream/kafka/create-topics.ts";
import type { BrokerFound, Inspection } from "../stream/kafka/inspection.ts";
import type { TopicSpec } from "../stream/port.ts";

export const STATES = [
  "ok",
  /** It works, and somebody should know. */
  "warn",
  /** It does not work, or not as promised. */
  "fail",
  /** We may not look, or nobody tells. */
  "unknown",
] as const;

/** In the order in which one has to be right for the next to matter. */
export const AREAS = [
  "settings",
  "identity",
  "object store",
  "connection",
  "clock",
  "requests",
  "topics",
  "rights",
] as const;

export interface Finding {
  readonly area: (typeof AREAS)[number];
  readonly state: (typeof STATES)[number];
  readonly subject: string;
  readonly text: string;
  /** What to do: a sentence, or a command. */
  readonly fix?: string;
}

/** What a program needs of Kafka. */
export interface Role {
  readonly specs: readonly TopicSpec[];
  readonly rights: readonly { readonly topic: string; readonly operations: readonly Operation[] }[];
  readonly groups: readonly string[];
  readonly transactionalIds: readonly string[];
  /** Whether it may have more than that: a gateway's card can be stolen. */
  readonly exact: boolean;
}

export interface Wanted {
  readonly role: Role;
  readonly broker: string;
  /** `User:…`, as Kafka's commands want it. */
  readonly principal: string;
  readonly replicationFactor: number | undefined;
  readonly minInsyncReplicas: number | undefined;
  /** ms since 1970. */
  readonly now: number;
}

const DAY_MS = 86_400_000;
/** A certificate that ends sooner than this is to be renewed, days. */
const RENEW_DAYS = 30;
/** Clocks that differ by less make no difference to anything, ms. */
const CLOCK_TOLERANCE_MS = 1000;
/** Brokers refuse records whose time is an hour ahead of theirs. */
const CLOCK_LIMIT_MS = 3_600_000;
/** The largest batch that we send, with room for headers, bytes: Kafka's default limit is above it. */
const LARGEST_BATCH = 1_000_000;

export function findings(seen: Inspection, wanted: Wanted): Finding[] {
  return [
    ...seen.brokers.map((one) => brokerFinding(one, wanted.now)),
    ...(seen.cluster ? clusterFindings(seen, wanted) : []),
  ];
}

function clusterFindings(seen: Inspection, wanted: Wanted): Finding[] {
  return [
    clockFinding(seen),
    requestsFinding(seen),
    ...topicFindings(seen, wanted),
    ...rightFindings(seen, wanted),
  ];
}

function brokerFinding(found: BrokerFound, now: number): Finding {
  const { address: subject, advertised, error, ms, tls } = found;
  const area = "connection";
  if (error !== undefined) {
    if (!advertised) return { area, state: "fail", subject, text: error };
    const text = `the cluster names it to its clients, and: ${error}`;
    const fix =
      "a client needs every broker: set advertised.listeners to what can be reached from here";
    return { area, state: "fail", subject, text, fix };
  }
  const told = advertised ? ", as the cluster names it" : "";
  if (!tls) {
    return { area, state: "ok", subject, text: `answers in ${ms} ms, without TLS${told}` };
  }
  const text = `answers in ${ms} ms over ${tls.protocol}${told}`;
  const days = Math.floor((tls.validTo - now) / DAY_MS);
  const ends = `its certificate ${endText(days, tls.validTo)}`;
  if (days >= RENEW_DAYS) return { area, state: "ok", subject, text: `${text}; ${ends}` };
  return { area, state: "warn", subject, text: `${text}; ${ends}`, fix: "renew it on the broker" };
}

/** When a certificate ends, or that it has. */
export function endText(days: number, validTo: number): string {
  const date = new Date(validTo).toISOString().slice(0, 10);
  if (days < 0) return `ended ${date}`;
  return `ends in ${days === 1 ? "one day" : `${days} days`} (${date})`;
}

function clockFinding({ clock }: Inspection): Finding {
  const area = "clock";
  const subject = "this machine and Kafka";
  if (!clock) {
    const text =
      "Kafka tells its time only to those who may Describe the cluster (and from 3.3 on)";
    return { area, state: "unknown", subject, text };
  }
  const { aheadMs, withinMs } = clock;
  const off = Math.max(0, Math.abs(aheadMs) - withinMs);
  const which = aheadMs > 0 ? "behind" : "ahead of";
  const text =
    off === 0 ? `agree within ${withinMs} ms` : `this machine is ${off} ms ${which} Kafka`;
  if (off < CLOCK_TOLERANCE_MS) return { area, state: "ok", subject, text };
  const fix = "have both set by a time service (NTP); docs/time.md says what a wrong clock does";
  return { area, state: off < CLOCK_LIMIT_MS ? "warn" : "fail", subject, text, fix };
}

function requestsFinding({ unknownRequests }: Inspection): Finding {
  const area = "requests";
  const subject = "Kafka's protocol";
  if (unknownRequests.length === 0) {
    return { area, state: "ok", subject, text: "every request that is needed is taken" };
  }
  const text = `not taken: ${unknownRequests.join(", ")}`;
  return { area, state: "fail", subject, text, fix: "Apache Kafka 2.3 or later is needed" };
}

function topicFindings(seen: Inspection, wanted: Wanted): Finding[] {
  const found = new Map(seen.cluster?.topics.map((one) => [one.name, one]));
  // The journals decide: what is processed from them is laid out alike.
  const journal = found.get(wanted.role.specs[0]?.name ?? "")?.partitions.length ?? 0;
  return wanted.role.specs.flatMap((spec): Finding[] => {
    const topic = found.get(spec.name);
    const at = { area: "topics", subject: spec.name } as const;
    if (!topic || topic.errorCode === TOPIC_NOT_ALLOWED) {
      const text = "we may not see whether it is there";
      return [{ ...at, state: "unknown", text }];
    }
    if (topic.errorCode === UNKNOWN_TOPIC) {
      const fix = "tidegate topics create (with this configuration, as somebody who may)";
      return [{ ...at, state: "fail", text: "is not there", fix }];
    }
    const faults: Finding[] = [];
    const tell = (state: "warn" | "fail", text: string, fix: string) =>
      faults.push({ ...at, state, text, fix });
    const { partitions } = topic;
    if (partitions.length !== spec.partitions) {
      const text = `has ${partitions.length} partitions, topics.partitions says ${spec.partitions}`;
      if (partitions.length === journal) {
        tell(
          "fail",
          text,
          `set topics.partitions to ${journal}: the number is fixed once there are events`,
        );
      } else {
        tell(
          "fail",
          `${text}; the journals have ${journal}`,
          "all have to have as many as the events topic",
        );
      }
    }
    const leaderless = partitions.filter(({ leader }) => leader < 0).length;
    if (leaderless > 0) {
      tell(
        "fail",
        `${leaderless} of ${partitions.length} partitions have no leader`,
        "bring the brokers back that hold them",
      );
    }
    const behind = partitions.filter((one) => one.inSync.length < one.replicas.length).length;
    if (behind > 0) {
      tell(
        "warn",
        `${behind} of ${partitions.length} partitions have copies that are not in sync`,
        "look after the brokers that are behind or away",
      );
    }
    replicationFaults(topic.partitions[0]?.replicas.length ?? 0, seen, wanted, tell);
    const configs = configFaults(spec, seen, wanted, tell);
    if (faults.length > 0) return faults;
    const copies = partitions[0]?.replicas.length ?? 0;
    const text = `${partitions.length} partitions, ${copiesText(copies)}${configs}`;
    return [{ ...at, state: "ok", text }];
  });
}

function copiesText(copies: number): string {
  return copies === 1 ? "one copy" : `${copies} copies`;
}

type Tell = (state: "warn" | "fail", text: string, fix: string) => void;

function replicationFaults(copies: number, seen: Inspection, wanted: Wanted, tell: Tell): void {
  const { replicationFactor: asked } = wanted;
  const brokers = seen.cluster?.brokers.length ?? 0;
  const fix =
    "kafka-reassign-partitions.sh changes it (Kafka's documentation: increasing replication factor)";
  if (asked !== undefined && copies !== asked) {
    tell("fail", `has ${copiesText(copies)}, topics.replication_factor says ${asked}`, fix);
  } else if (copies === 1 && brokers > 1) {
    tell("warn", "has one copy: what a broker holds is lost with its disk", fix);
  }
}

/** @returns a note on what could not be seen */
function configFaults(spec: TopicSpec, seen: Inspection, wanted: Wanted, tell: Tell): string {
  const found = seen.configs.get(spec.name);
  if (found?.errorCode !== 0) {
    return "; its settings cannot be seen (no right to DescribeConfigs)";
  }
  const { values } = found;
  const changes: string[] = [];
  const differing: string[] = [];
  for (const { name, value } of topicSettings(spec, wanted.minInsyncReplicas)) {
    const is = values.get(name) ?? "";
    if (sorted(is) === sorted(value)) continue;
    differing.push(`${name} is ${shown(name, is)}, and should be ${shown(name, value)}`);
    changes.push(`${name}=${value.includes(",") ? `[${value}]` : value}`);
  }
  const size = Number(values.get("max.message.bytes") ?? LARGEST_BATCH);
  if (size < LARGEST_BATCH) {
    differing.push(`max.message.bytes is ${size}, and should be 1048588 (Kafka's default)`);
    changes.push("max.message.bytes=1048588");
  }
  const bytes = values.get("retention.bytes") ?? "-1";
  if (spec.cleanup.includes("delete") && bytes !== "-1") {
    differing.push(`retention.bytes is ${bytes}, and deletes what retention.ms would keep`);
    changes.push("retention.bytes=-1");
  }
  if (differing.length > 0) {
    tell(
      "fail",
      differing.join("; "),
      `kafka-configs.sh --bootstrap-server ${wanted.broker} --alter --entity-type topics --entity-name ${spec.name} --add-config '${changes.join(",")}'`,
    );
  }
  const copies = seen.cluster?.topics.find(({ name }) => name === spec.name)?.partitions[0];
  if (
    (copies?.replicas.length ?? 0) > 2 &&
    values.get("min.insync.replicas") === "1" &&
    wanted.minInsyncReplicas === undefined
  ) {
    tell(
      "warn",
      "min.insync.replicas is 1: what only one broker has counts as written",
      `kafka-configs.sh --bootstrap-server ${wanted.broker} --alter --entity-type topics --entity-name ${spec.name} --add-config min.insync.replicas=2`,
    );
  }
  return "";
}

function sorted(list: string): string {
  return list.split(",").sort().join(",");
}

function shown(name: string, value: string): string {
  if (name !== "retention.ms") return value;
  return value === "-1"
    ? "-1 (for ever)"
    : `${value} (${Number((Number(value) / DAY_MS).toFixed(1))} days)`;
}

function rightFindings(seen: Inspection, wanted: Wanted): Finding[] {
  const { role, broker, principal } = wanted;
  const area = "rights";
  const acl = (what: string) =>
    `kafka-acls.sh --bootstrap-server ${broker} --add --allow-principal '${principal}' ${what}`;
  const found: Finding[] = [];
  for (const { topic: name, operations } of role.rights) {
    const topic = seen.cluster?.topics.find((one) => one.name === name);
    const hidden = !topic || topic.errorCode === TOPIC_NOT_ALLOWED;
    // Where the brokers do not tell rights (no authorizer, or others than Apache Kafka), seeing a topic is all that is known.
    const lacks = operations.filter((one) => hidden || mayDo(topic.operations, one) === false);
    if (lacks.length > 0) {
      const flags = lacks.map((one) => `--operation ${one}`).join(" ");
      const text = `${principal} may not ${lacks.join(" and ")}`;
      found.push({
        area,
        state: "fail",
        subject: name,
        text,
        fix: acl(`${flags} --topic ${name}`),
      });
      continue;
    }
    const untold = topic?.operations === undefined;
    const more = (["Read", "Create"] as const).filter(
      (one) => role.exact && !operations.includes(one) && mayDo(topic?.operations, one) === true,
    );
    if (more.length > 0) {
      const text = `${operations.join(", ")} is enough, and ${principal} may ${more.join(" and ")} too`;
      const fix =
        "a gateway's user needs no more than Write: whoever gets its card gets its rights";
      found.push({ area, state: "warn", subject: name, text, fix });
      continue;
    }
    const text = untold ? "the brokers do not tell rights" : operations.join(", ");
    found.push({ area, state: untold ? "unknown" : "ok", subject: name, text });
  }
  for (const [group, may] of seen.groups) {
    const fix = acl(`--operation Read --group ${group}`);
    found.push(told(`group ${group}`, "Read", may, fix, principal));
  }
  for (const [id, may] of seen.transactionalIds) {
    const prefix = id.replace(/\d+$/, "");
    const fix = acl(
      `--operation Write --transactional-id ${prefix} --resource-pattern-type prefixed`,
    );
    found.push(told(`transactional id ${id}`, "Write", may, fix, principal));
  }
  return found;
}

function told(subject: string, right: string, may: boolean, fix: string, who: string): Finding {
  return may
    ? { area: "rights", state: "ok", subject, text: right }
    : { area: "rights", state: "fail", subject, text: `${who} may not ${right}`, fix };
}

export type Verdict = "ok" | "fail";

/** Warnings alone are no failure: everything works. */
export function verdictOf(all: readonly Finding[]): Verdict {
  return all.some(({ state }) => state === "fail") ? "fail" : "ok";
}

/** A line for each finding by area, and what to do below those that need it. */
export function doctorText(role: string, all: readonly Finding[]): string {
  const lines: string[] = [];
  const wide = Math.min(44, Math.max(...all.map(({ subject }) => subject.length)));
  for (const area of AREAS) {
    const of = all.filter((one) => one.area === area);
    if (of.length > 0) lines.push(area);
    for (const { state, subject, text, fix } of of) {
      lines.push(`  ${state.padEnd(7)}  ${subject.padEnd(wide)}  ${text}`);
      if (fix !== undefined) lines.push(`           → ${fix}`);
    }
  }
  const count = (state: Finding["state"]) => all.filter((one) => one.state === state).length;
  const fails = count("fail");
  const warns = count("warn");
  const rest = warns === 0 ? "" : `, ${warns} to look at`;
  const things = fails === 1 ? "One thing" : `${fails} things`;
  lines.push(
    fails === 0 ? `All that a ${role} needs is there${rest}.` : `${things} to put right${rest}.`,
  );
  return `${lines.join("\n")}\n`;
}
