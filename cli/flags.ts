/** The flags that several commands share, and the settings that they stand for. */
import type { Command } from "commander";

interface SharedFlag {
  readonly flag: string;
  readonly argument: string;
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

/**
 * Adds `--config` and the named flags.
 * @param described what a flag means to this command, where that is not what it means to most
 */
export function addFlags(
  command: Command,
  names: readonly SharedFlagName[],
  described: Partial<Record<SharedFlagName, string>> = {},
): Command {
  command.option("--config <FILE>", "settings, a YAML file");
  for (const name of names) {
    const { flag, argument, description } = SHARED_FLAGS[name];
    command.option(`${flag} <${argument}>`, described[name] ?? description);
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
  }
  return given;
}
