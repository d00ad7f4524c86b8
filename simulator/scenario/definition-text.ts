/**
 * definition.ts: what a fleet as code may say, as types that an editor can explain. Made from the schema itself, so that no
 * key is missing there and no default wrong; a type that is computed from a schema has no words for anybody.
 */
import { rulesFileSchema } from "../../rules/file.ts";
import { stretchSchema } from "./fields.ts";
import { metricSchema } from "./metric-schema.ts";
import { deviceSchema, eventSchema, gatewaySchema, scenarioSchema, siteSchema } from "./schema.ts";

interface Node {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly quantity?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly "x-kind"?: string;
}

/** Maps that have a name, where they stand under this key. */
const NAMED: Readonly<Record<string, string>> = {
  link: "LinkDefinition",
  clock: "ClockDefinition",
  buffer: "BufferDefinition",
  site: "SiteDefinition",
  gateways: "GatewayDefinition",
  devices: "DeviceDefinition",
  events: "EventDefinition",
  jumps: "ClockJump",
};

/** Keys whose schema says less than their type. */
const OWN_TYPES: Readonly<Record<string, string>> = {
  metrics: "Readonly<Record<string, MetricDefinition | MetricFunction>>",
  rules: "readonly RuleDefinition[] | string",
};

/** Where the schema has none, or speaks of a file. */
const OWN_WORDS: Readonly<Record<string, string>> = {
  rules: "Alert rules, or the path of a rules file, from the working directory.",
  gateways: "Gateways with their devices.",
  devices: "Its devices, in groups that are alike.",
  events: "What happens to devices at a time.",
  link: "From the gateway to the log. Requests and answers each take their own way.",
  clock: "The gateway's wall clock.",
  buffer: "Where readings wait until the log has them, and what happens to its disk.",
  site: "What has the log and the processors.",
  severity: "`info`, `warning` or `critical`; `warning` without it.",
  message: "For people, with {device}, {gateway}, {metric}, {rule}, {value} and {threshold} in it.",
};

export function definitionText(): string {
  const { link, clock, buffer } = gatewaySchema.properties as unknown as Record<string, Node>;
  const jump = clock?.properties?.jumps?.items;
  const rule = (rulesFileSchema.properties.rules as Node).items;
  const sections: readonly (readonly [string, string, unknown, (readonly string[])?])[] = [
    [
      "FleetDefinition",
      "A fleet and its days: a scenario's words as code.",
      scenarioSchema,
      ["name"],
    ],
    ["RuleDefinition", "An alert rule, as a rules file has it.", rule],
    ["GatewayDefinition", "A gateway, or several that are alike.", gatewaySchema],
    ["LinkDefinition", "The way between a gateway and the log.", link],
    ["ClockDefinition", "The wall clock of a gateway.", clock],
    ["ClockJump", "Somebody sets a gateway's clock.", jump],
    ["BufferDefinition", "A gateway's buffer and its disk.", buffer],
    ["DeviceDefinition", "A device, or several that are alike.", deviceSchema],
    [
      "MetricDefinition",
      "What a sensor says: parts added up, then the sensor and its faults.",
      metricSchema,
    ],
    ["SiteDefinition", "What has the log and the processors.", siteSchema],
    ["EventDefinition", "What becomes of devices at a time.", eventSchema],
    ["Stretch", "When something is down, away or silent.", stretchSchema],
  ];
  return [
    `/**
 * What a fleet as code may say. Written by definition-text.ts from the schema;
 * \`npx vitest run simulator/scenario/definition.test.ts -u\` writes it anew.
 */
import type { MetricFunction } from "./metric-schema.ts";
`,
    ...sections.map(([name, about, node, optional]) => {
      return `/** ${about} */\nexport interface ${name} ${body(node as Node, "", optional)}\n`;
    }),
    "/** One of them, or a list: any number with `at`, and at most one with `every`. */\nexport type Stretches = Stretch | readonly Stretch[];\n",
  ].join("\n");
}

function body(
  { properties = {}, required = [] }: Node,
  indent: string,
  optional: readonly string[] = [],
): string {
  const inside = `${indent}  `;
  const lines = Object.entries(properties).flatMap(([key, node]) => {
    const must = required.includes(key) && !optional.includes(key);
    return [
      `${inside}/** ${words(key, node)} */`,
      `${inside}readonly ${key}${must ? "" : "?"}: ${typeOf(key, node, inside)};`,
    ];
  });
  return `{\n${lines.join("\n")}\n${indent}}`;
}

function words(key: string, node: Node): string {
  const said = OWN_WORDS[key] ?? node.description ?? "";
  const { default: usual, quantity, "x-kind": kind } = node;
  const told = usual === undefined || Array.isArray(usual) || said.includes("default");
  const more = [
    quantity !== undefined && `A ${kind}`,
    !told &&
      `${quantity === undefined ? "Default" : "default"} ${usual === "never" ? "never" : `\`${String(usual)}\``}`,
  ].filter((part) => typeof part === "string");
  const text = `${said.charAt(0).toUpperCase()}${said.slice(1).replace(/\.?$/, ".")}`;
  const end = more.length === 0 ? "" : ` (${more.join(", ")}.)`;
  // A relative link of the documentation leads nowhere from here.
  return `${text}${end}`.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1");
}

function typeOf(key: string, node: Node, indent: string): string {
  const own = OWN_TYPES[key];
  if (own !== undefined) return own;
  if (node["x-kind"] === "stretches") return "Stretches";
  if (node.quantity !== undefined) return node.quantity === "share" ? "string | number" : "string";
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.type === "array") {
    const item = NAMED[key] ?? typeOf("", node.items ?? {}, indent);
    return `readonly ${item}[]`;
  }
  if (node.type === "object") return NAMED[key] ?? body(node, indent);
  const types = [node.type ?? "unknown"].flat();
  return types.map((type) => (type === "integer" ? "number" : type)).join(" | ");
}
