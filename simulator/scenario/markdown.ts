/** docs/scenarios.md: what a scenario may say, from the schema itself, so that no key is missing there and no default wrong. */
import { stretchSchema } from "./fields.ts";
import { QUANTITIES } from "./friendly.core.ts";
import { listScenarios } from "./library.ts";
import { otherMetrics, sensorKeys, signalParts } from "./metric-schema.ts";
import { deviceSchema, eventSchema, gatewaySchema, scenarioSchema, siteSchema } from "./schema.ts";

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly "x-kind"?: string;
}

/** Maps that have a table of their own. */
const SECTIONS = ["link", "clock", "buffer", "site", "metrics"];

/** @param prefix of the keys, with its dot */
function rowsOf({ properties = {}, required = [] }: Node, prefix = ""): string[] {
  return Object.entries(properties).flatMap(([key, node]) => {
    const name = `${prefix}${key}`;
    const inside = node.type === "array" ? node.items : node;
    const own = SECTIONS.includes(key) ? "see below" : "";
    const row = `| \`${name}\` | ${kindOf(node)} | ${usualOf(node, required.includes(key))} | ${node.description ?? own} |`;
    const nested =
      own === "" &&
      inside?.properties &&
      key !== "gateways" &&
      key !== "devices" &&
      key !== "events";
    return nested ? [row, ...rowsOf(inside, `${name}.`)] : [row];
  });
}

function kindOf(node: Node): string {
  return node["x-kind"] ?? (node.type === "object" ? "map" : (node.type ?? ""));
}

function usualOf(node: Node, required: boolean): string {
  if (required) return "must be there";
  const { default: usual } = node;
  if (usual === undefined) return "";
  if (Array.isArray(usual)) return "none";
  return usual === "never" ? "never" : `\`${String(usual)}\``;
}

function table(node: object): string {
  return ["| key | is | without it | |", "|---|---|---|---|", ...rowsOf(node as Node)].join("\n");
}

export function scenarioMarkdown(): string {
  const { link, clock, buffer } = gatewaySchema.properties;
  const quantities = Object.entries(QUANTITIES)
    .filter(([name]) => name !== "positive")
    .map(([, { name, hint }]) => `| ${name} | ${hint} |`);
  const shipped = listScenarios().map(
    ({ name, description }) =>
      `| [\`${name}\`](../simulator/scenarios/${name}.yaml) | ${description} |`,
  );
  return `# Scenarios

A scenario is a fleet and its days: gateways, the devices that hang on them, the network between them and the log, and what happens to all of it.
The same one runs in virtual time, with a day in seconds and every fault there is, and over real MQTT connections. What is random in it comes from one seed.

\`\`\`yaml
name: cold-store
duration: 6h
rules:
  - { name: freezer-warm, when: temperature above -15, for: 5m, device: freezer-* }
gateways:
  - name: store
    link: { down: { every: 2h, for: 20m } }
    devices:
      - { kind: freezer, count: 10, every: 60s }
      - { kind: door, count: 2, every: 30s, sleep: 5m }
events:
  - { at: 3h, for: 40m, device: freezer-3, metric: temperature, add: 12, over: 10m }
\`\`\`

Faults in a file are told all at once, with line and column and what would be right; a key that is not known is one.

These ship, and are commented so that one can learn the format from them. Where a scenario is asked for, their name or the path of a file can stand:

| scenario | |
|---|---|
${shipped.join("\n")}

## As code

The same words, in anybody's tests; the same checks, with the place in the code. A metric can be a function there.

\`\`\`ts
import { fleet } from "tidegate/simulator";

const store = fleet({
  duration: "6h",
  rules: "./rules.yaml",
  gateways: [
    {
      name: "store",
      link: { down: { every: "2h", for: "20m" } },
      devices: [
        { kind: "freezer", count: 10, every: "60s" },
        { name: "scale", metrics: { weight: (time) => 100 - (time % 60_000) / 1000 } },
      ],
    },
  ],
});
\`\`\`

## Quantities

| | is written as |
|---|---|
${quantities.join("\n")}
| stretches | a list of \`{ at, for }\` and at most one \`{ every, for }\`; one alone needs no list |
| pattern | a name in which \`*\` stands for any characters and \`?\` for one |

Stretches are when something is down, away or silent:

${table(stretchSchema)}

## The whole

${table(scenarioSchema)}

## Gateways

${table(gatewaySchema)}

### link

From the gateway to the log. Requests and answers each take their own way.

${table(link)}

### clock

${table(clock)}

### buffer

${table(buffer)}

## Devices

${table(deviceSchema)}

### metrics

Parts that are given are added up:

${table({ properties: signalParts })}

Or, instead of a number:

${table({ properties: otherMetrics })}

Then come the sensor and its faults:

${table({ properties: sensorKeys })}

## Site

What has the log and the processors.

${table(siteSchema)}

## Events

What becomes of devices at a time: exactly one of \`add\`, \`set\`, \`silent\` and \`offline\`. Several on one metric are applied one after the other.

${table(eventSchema)}

This page is written by \`simulator/scenario/markdown.ts\`; \`npx vitest run simulator/scenario/markdown.test.ts -u\` writes it anew.
`;
}
