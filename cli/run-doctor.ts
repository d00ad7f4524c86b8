/** Gathers what `tidegate doctor` judges: the settings' files, whose gateway this is, this machine's time service, and Kafka itself. */
import { X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { timeServiceMark } from "../gateway/clock.ts";
import type { KafkaConfig } from "../stream/kafka/config.ts";
import type { KafkaCredentials } from "../stream/kafka/credentials.ts";
import { inspectKafka } from "../stream/kafka/inspection.ts";
import { IMPATIENT } from "./connect-log.ts";
import { endText, type Finding, findings } from "./doctor.core.ts";
import { REQUESTS, type RoleName, roleOf } from "./doctor-roles.ts";
import { CommandError } from "./errors.ts";
import { kafkaOptions } from "./kafka-log.ts";
import { createLogger } from "./logger.ts";
import { lookWhose } from "./look-whose.ts";
import { storeFindings } from "./payload-store.ts";
import { loadProgram, type ProgramSettings } from "./programs.ts";

import { identityFindings } from "./whose.core.ts";

type Flags = Parameters<typeof loadProgram>[2];

const DAY_MS = 86_400_000;
const RENEW_DAYS = 30;
/** Rights of anybody but the owner. */
const OTHERS = 0o077;

export async function runDoctor(
  program: RoleName,
  file: string | undefined,
  flags: Flags,
): Promise<Finding[]> {
  const settings: ProgramSettings[RoleName] = loadProgram(program, file, flags);
  const { kafka, topics } = settings;
  if (kafka.brokers.length === 0) {
    const store =
      "payloads" in settings ? await storeFindings(settings.payloads, settings.data_dir) : [];
    if (store.length > 0) return store;
    throw new CommandError("no Kafka is named: set kafka.brokers, or --brokers HOST:PORT");
  }
  // What it says itself is better than what is logged on the way.
  const options = kafkaOptions(settings, "doctor", createLogger("silent"), IMPATIENT);
  const credentials = options.credentials?.() ?? {};
  const role = roleOf(program, settings);
  const now = Date.now();
  const secretFile =
    "payloads" in settings ? settings.payloads.s3.secret_access_key_file : undefined;
  const seen = await inspectKafka(options, {
    topics: [
      ...new Set([...role.specs.map(({ name }) => name), ...role.rights.map((one) => one.topic)]),
    ],
    requests: REQUESTS[program],
    groups: role.groups,
    transactionalIds: role.transactionalIds,
  });
  return [
    ...settingFindings(kafka, credentials, secretFile, now),
    ...("hardware" in settings
      ? identityFindings(await lookWhose(settings.data_dir, settings))
      : []),
    ...("payloads" in settings ? await storeFindings(settings.payloads, settings.data_dir) : []),
    ...("clock" in settings ? [timeService(settings.clock.mark_file)] : []),
    ...findings(seen, {
      role,
      broker: kafka.brokers[0] ?? "",
      principal: principalOf(credentials),
      replicationFactor: topics.replication_factor,
      minInsyncReplicas: topics.min_insync_replicas,
      now,
    }),
  ];
}

/** As Kafka names us where no rule of its own maps it. */
function principalOf({ sasl, tls }: KafkaCredentials): string {
  if (sasl) return `User:${sasl.username}`;
  if (typeof tls?.cert !== "string") return "User:ANONYMOUS";
  // RFC 2253 begins with what stands last.
  return `User:${new X509Certificate(tls.cert).subject.split("\n").reverse().join(",")}`;
}

function settingFindings(
  kafka: KafkaConfig,
  credentials: KafkaCredentials,
  secretFile: string | undefined,
  now: number,
): Finding[] {
  const { sasl, tls } = credentials;
  const found: Finding[] = [];
  const tell = (state: Finding["state"], subject: string, text: string, fix?: string) =>
    found.push({ area: "settings", state, subject, text, ...(fix === undefined ? {} : { fix }) });
  if (!tls) {
    const what =
      sasl?.mechanism === "PLAIN" ? "the password and all readings go" : "all readings go";
    tell("warn", "kafka.tls", `${what} over the network in the open`, "use a listener with TLS");
  }
  if (typeof tls?.cert === "string") {
    const { validToDate } = new X509Certificate(tls.cert);
    const days = Math.floor((validToDate.getTime() - now) / DAY_MS);
    const text = endText(days, validToDate.getTime());
    if (days >= RENEW_DAYS) tell("ok", "kafka.tls.cert_file", text);
    else {
      const state = days < 0 ? "fail" : "warn";
      tell(state, "kafka.tls.cert_file", text, "renew it; it is read anew by itself");
    }
  }
  const files = [
    ["kafka.sasl.password_file", kafka.sasl.password_file],
    ["kafka.tls.key_file", kafka.tls.key_file],
    ["kafka.tls.key_passphrase_file", kafka.tls.key_passphrase_file],
    ["payloads.s3.secret_access_key_file", secretFile],
  ] as const;
  for (const [setting, file] of files) {
    if (file === undefined) continue;
    const others = statSync(file).mode & OTHERS;
    if (others === 0) tell("ok", setting, "only its owner may read it");
    else tell("warn", setting, `others on this machine may use ${file}`, `chmod go= ${file}`);
  }
  return found;
}

function timeService(markFile: string): Finding {
  const at = { area: "clock", subject: "the time service" } as const;
  const mark = timeServiceMark(markFile);
  switch (mark.kind) {
    case "synced":
      return { ...at, state: "ok", text: `has set this machine's clock (${markFile})` };
    case "waiting":
      return {
        ...at,
        state: "warn",
        text: `has not set this machine's clock yet (there is no ${markFile})`,
        fix: "let it reach its servers: timedatectl timesync-status",
      };
    default:
      return { ...at, state: "unknown", text: "there is none that clock.mark_file knows of" };
  }
}
