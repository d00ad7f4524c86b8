/** The flags that several commands share, and the settings that they stand for. */
import type { Command } from "commander";

interface SharedFlag {
  readonly flag: string;
  /** Undefined where the flag stands alone and means true. */
  readonly argument?: string;
  /** Dotted path of the setting. */
  readonly setting: string;
  readonly description: string;
}

export const SHARED_FLAGS = {
  dataDir: {
    flag: "--data-dir",
    argument: "DIR",
    setting: "data_dir",
    description: "where everything is kept",
  },
  mqttPort: {
    flag: "--mqtt-port",
    argument: "PORT",
    setting: "mqtt.port",
    description: "MQTT port; 0 takes any free one and prints it",
  },
  httpPort: {
    flag: "--http-port",
    argument: "PORT",
    setting: "http.port",
    description: "HTTP port; 0 takes any free one and prints it",
  },
  gatewayId: {
    flag: "--gateway-id",
    argument: "ID",
    setting: "gateway_id",
    description: "who this gateway is (made at the first start)",
  },
  brokers: {
    flag: "--brokers",
    argument: "HOST:PORT,…",
    setting: "kafka.brokers",
    description: "Kafka; without it the log is embedded",
  },
  kafkaSasl: {
    flag: "--kafka-sasl",
    argument: "MECHANISM",
    setting: "kafka.sasl.mechanism",
    description: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
  },
  kafkaUser: {
    flag: "--kafka-user",
    argument: "NAME",
    setting: "kafka.sasl.username",
    description: "who we are to Kafka",
  },
  kafkaPasswordFile: {
    flag: "--kafka-password-file",
    argument: "FILE",
    setting: "kafka.sasl.password_file",
    description: "a file with the password; or TIDEGATE_KAFKA_SASL_PASSWORD",
  },
  kafkaTls: {
    flag: "--kafka-tls",
    setting: "kafka.tls.enabled",
    description: "speak TLS with Kafka",
  },
  kafkaCa: {
    flag: "--kafka-ca",
    argument: "FILE",
    setting: "kafka.tls.ca_file",
    description: "the CA to trust, PEM (and speak TLS)",
  },
  kafkaCert: {
    flag: "--kafka-cert",
    argument: "FILE",
    setting: "kafka.tls.cert_file",
    description: "our client certificate, PEM",
  },
  kafkaKey: {
    flag: "--kafka-key",
    argument: "FILE",
    setting: "kafka.tls.key_file",
    description: "its private key, PEM",
  },
  rules: {
    flag: "--rules",
    argument: "FILE",
    setting: "rules",
    description: "alert rules, a YAML file",
  },
  namespace: {
    flag: "--namespace",
    argument: "NAME",
    setting: "namespace",
    description: "begins the names of topics",
  },
  logLevel: {
    flag: "--log-level",
    argument: "LEVEL",
    setting: "log_level",
    description: "trace, debug, info, warn, error or silent",
  },
} as const satisfies Record<string, SharedFlag>;

export type SharedFlagName = keyof typeof SHARED_FLAGS;

/** How to get to Kafka: wherever brokers can be named. */
const KAFKA_FLAGS = [
  "kafkaSasl",
  "kafkaUser",
  "kafkaPasswordFile",
  "kafkaTls",
  "kafkaCa",
  "kafkaCert",
  "kafkaKey",
] as const satisfies readonly SharedFlagName[];

/**
 * Adds `--config` and the named flags; with `brokers` also those that say how to get to them.
 * @param described what a flag means to this command, where that is not what it means to most
 */
export function addFlags(
  command: Command,
  names: readonly SharedFlagName[],
  described: Partial<Record<SharedFlagName, string>> = {},
): Command {
  command.option("--config <FILE>", "settings, a YAML file");
  const wanted = names.flatMap((name) => (name === "brokers" ? [name, ...KAFKA_FLAGS] : [name]));
  for (const name of new Set(wanted)) {
    const { flag, argument, description }: SharedFlag = SHARED_FLAGS[name];
    const form = argument === undefined ? flag : `${flag} <${argument}>`;
    command.option(form, described[name] ?? description);
  }
  return command;
}

/** The flags that were given, by the setting they stand for. */
export function givenFlags(
  options: Readonly<Record<string, unknown>>,
): Map<string, { readonly flag: string; readonly text: string }> {
  const given = new Map<string, { flag: string; text: string }>();
  for (const [name, { flag, setting }] of Object.entries(SHARED_FLAGS)) {
    const text = options[name];
    if (typeof text === "string") given.set(setting, { flag, text });
    else if (text === true) given.set(setting, { flag, text: "true" });
  }
  return given;
}
