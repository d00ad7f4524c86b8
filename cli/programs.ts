/** The settings of each program: one schema each, put together from the parts' own. */
import Type, { type Static, type TObject } from "typebox";
import { cloudSettings, readModelSettings } from "../cloud/config.ts";
import { dashboardConfigSchema } from "../dashboard/config.ts";
import { NAMESPACE_PATTERN } from "../events/topics.ts";
import { gatewaySettings } from "../gateway/config.ts";
import { kafkaSettings } from "../stream/kafka/config.ts";
import { topicSettings } from "../stream/topic-specs.ts";
import { LOG_LEVELS } from "./logger.ts";
import { environmentName, type Leaf, leavesOf, loadSettings, withoutSecrets } from "./settings.ts";

const DEFAULT_HTTP_PORTS = { start: 8080, gateway: 8081, cloud: 8082, dashboard: 8080, tools: 0 };

function commonSettings(program: Program) {
  return {
    data_dir: Type.String({
      default: "./tidegate-data",
      minLength: 1,
      description:
        "Where everything is kept: identity, buffer, embedded log, read model, copies of the processors' state.",
    }),
    namespace: Type.String({
      default: "telemetry",
      pattern: NAMESPACE_PATTERN,
      "x-form": "write lower-case letters, digits and -, e.g. plant-7",
      description: "Begins the names of all topics; separates tenants on one broker.",
    }),
    topics: topicSettings,
    log_level: Type.Unsafe<(typeof LOG_LEVELS)[number]>(
      Type.Enum([...LOG_LEVELS], {
        // A command that only looks says what is wrong itself, in one line.
        default: program === "tools" ? "error" : "warn",
        description: "What is logged to standard error: trace, debug, info, warn, error or silent.",
      }),
    ),
    http: Type.Object(
      {
        host: Type.String({
          default: "127.0.0.1",
          minLength: 1,
          description:
            "Address to listen on. Loopback by default: the pages ask for no password yet.",
        }),
        port: Type.Integer({
          default: DEFAULT_HTTP_PORTS[program],
          minimum: 0,
          maximum: 65535,
          description: "Port of pages, API, health and metrics; 0 takes any free one.",
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    kafka: kafkaSettings,
  };
}

const closed = { additionalProperties: false } as const;

const schemas = {
  start: Type.Object(
    {
      ...commonSettings("start"),
      ...gatewaySettings,
      ...cloudSettings,
      dashboard: dashboardConfigSchema,
    },
    closed,
  ),
  gateway: Type.Object({ ...commonSettings("gateway"), ...gatewaySettings }, closed),
  cloud: Type.Object({ ...commonSettings("cloud"), ...cloudSettings }, closed),
  dashboard: Type.Object(
    {
      ...commonSettings("dashboard"),
      read_model: readModelSettings,
      dashboard: dashboardConfigSchema,
    },
    closed,
  ),
  // Commands that only look take any program's file.
  tools: Type.Object({
    ...commonSettings("tools"),
    ...gatewaySettings,
    ...cloudSettings,
    dashboard: dashboardConfigSchema,
  }),
};

export const PROGRAMS = ["start", "gateway", "cloud", "dashboard"] as const;
export type Program = (typeof PROGRAMS)[number] | "tools";
export type ProgramSettings = { readonly [P in Program]: Static<(typeof schemas)[P]> };

export function isProgram(text: string): text is (typeof PROGRAMS)[number] {
  return (PROGRAMS as readonly string[]).includes(text);
}

/** @throws SettingsError with every fault */
export function loadProgram<P extends Program>(
  program: P,
  file: string | undefined,
  flags: ReadonlyMap<string, { readonly flag: string; readonly text: string }>,
): ProgramSettings[P] {
  const schema: TObject = schemas[program];
  return loadSettings<ProgramSettings[P]>(schema, { file, env: process.env, flags });
}

/** As they may be printed. */
export function printable<P extends Program>(
  program: P,
  settings: ProgramSettings[P],
): ProgramSettings[P] {
  return withoutSecrets(schemas[program], settings);
}

/** What a number may be, as a sentence; nothing where it may be anything. */
function boundsText({ minimum, maximum }: Leaf): string {
  const bounds = [
    ...(minimum === undefined ? [] : [`at least ${minimum}`]),
    ...(maximum === undefined ? [] : [`at most ${maximum}`]),
  ].join(", ");
  return bounds === "" ? "" : ` ${bounds.charAt(0).toUpperCase()}${bounds.slice(1)}.`;
}

/** docs/configuration.md. */
export function settingsMarkdown(): string {
  const inProgram = new Map<string, Set<string>>();
  for (const program of PROGRAMS) {
    for (const { path } of leavesOf(schemas[program])) {
      inProgram.set(path, (inProgram.get(path) ?? new Set()).add(program));
    }
  }
  const rows = leavesOf(schemas.start).map((leaf) => {
    const programs = inProgram.get(leaf.path) ?? new Set();
    const where = programs.size === PROGRAMS.length ? "all" : [...programs].join(", ");
    const fallback =
      leaf.path === "http.port"
        ? "8080, gateway 8081, cloud 8082"
        : leaf.default === undefined
          ? ""
          : `\`${JSON.stringify(leaf.default)}\``;
    return `| \`${leaf.path}\` | \`${environmentName(leaf.path)}\` | ${fallback} | ${where} | ${leaf.description}${boundsText(leaf)} |`;
  });
  return `# Configuration

Settings come from one YAML file (\`--config FILE\`), environment variables and flags, in that order of rising strength. Unknown
keys are refused, every fault is reported at once with its place, and \`tidegate config\` prints what is in effect. A dot in a
setting's name is a level of the YAML file:

\`\`\`yaml
mqtt:
  port: 1884
kafka:
  brokers: [kafka-1:9092, kafka-2:9092]
\`\`\`

Passwords have no flags: the arguments of a process can be read by everybody on the machine. Put them into a file of their own
(\`kafka.sasl.password_file\`), the environment or this file; \`tidegate config\` does not print them. How to get to a Kafka is told in
[kafka.md](kafka.md).

This page is written by \`tidegate config --markdown\`.

| setting | variable | default | programs | what it does |
|---|---|---|---|---|
${rows.join("\n")}
`;
}
