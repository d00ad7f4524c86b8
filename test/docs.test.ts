/** The documentation against the code: what can be listed is listed, once, and nothing that is gone. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { settingsMarkdown } from "../cli/programs.ts";
import { READ_MODEL_ERROR_CODES } from "../cloud/read-model/errors.ts";
import { PROBLEM_CODES } from "../dashboard/problems.ts";
import { EVENT_SCHEMAS } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { BUFFER_ERROR_CODES } from "../gateway/buffer/port.ts";
import { DECODE_FAULTS } from "../gateway/mqtt/decode.core.ts";
import { OBJECT_STORE_ERROR_CODES } from "../gateway/payloads/port.ts";
import { SIMULATOR_ERRORS } from "../simulator/errors.ts";
import { EVENT_LOG_ERROR_CODES } from "../stream/port.ts";
import { root } from "./program.ts";

const read = (file: string) => readFileSync(join(root, file), "utf8");

/** The codes in the first column of the table under a heading. */
function codesUnder(heading: string): string[] {
  const section = read("docs/errors.md").split(`## ${heading}`)[1]?.split("\n## ")[0] ?? "";
  return [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1] ?? "");
}

describe("docs/errors.md", () => {
  test.each<[string, readonly string[]]>([
    ["Buffer (`BufferError`)", BUFFER_ERROR_CODES],
    ["Event log (`EventLogError`)", EVENT_LOG_ERROR_CODES],
    ["Read model (`ReadModelError`)", READ_MODEL_ERROR_CODES],
    ["Simulator and replay (`SimulatorError`)", SIMULATOR_ERRORS],
    ["Object store (`ObjectStoreError`)", OBJECT_STORE_ERROR_CODES],
    ["Rejected payloads", [...DECODE_FAULTS, "too_large"]],
    ["API problems", PROBLEM_CODES],
  ])("%s: none missing, none extra", (heading, codes) => {
    expect(codesUnder(heading).sort()).toEqual([...codes].sort());
  });
});

test("docs/configuration.md is what the schemas say (tidegate config --markdown writes it)", () => {
  expect(read("docs/configuration.md")).toBe(settingsMarkdown());
});

test("docs/buffer.md names every metric of the buffer", () => {
  const text = read("docs/buffer.md");
  const metrics = read("gateway/metrics.ts").matchAll(/"(tidegate_buffer_[a-z_]+)"/g);
  const missing = [...metrics].map(([, name = ""]) => name).filter((name) => !text.includes(name));
  expect(missing).toEqual([]);
});

test("docs/payloads.md names every metric of large payloads", () => {
  const text = read("docs/payloads.md");
  const metrics = read("gateway/metrics.ts").matchAll(/"(tidegate_payloads_[a-z_]+)"/g);
  const names = [...metrics].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !text.includes(name))).toEqual([]);
});

test("docs/events.md names every topic and every type of the journal", () => {
  const text = read("docs/events.md");
  for (const topic of Object.values(topicNames("telemetry")))
    expect(text).toContain(`\`${topic}\``);
  const cddl = read("events/contract/v1/events.cddl");
  for (const type of Object.keys(EVENT_SCHEMAS))
    expect(cddl).toContain(type.replace("tidegate.", ""));
});

test.each([
  "README.md",
  "ARCHITECTURE.md",
  "docs/events.md",
  "docs/scale.md",
  "docs/errors.md",
  "docs/event-log.md",
  "docs/buffer.md",
  "docs/identity.md",
  "docs/kafka.md",
  "docs/rebuild.md",
  "docs/rules.md",
  "docs/configuration.md",
])("%s links to files that exist, and names files that exist", (file) => {
  const text = read(file);
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)|src="([^"]+)"/g)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
  const named = [...text.matchAll(/`((?:[a-z-]+\/)+[a-z0-9.-]+\.(?:ts|md|cddl|yaml))`/g)].map(
    (match) => match[1] ?? "",
  );
  const missing = [
    ...links.filter((link) => !existsSync(join(root, dirname(file), link))),
    ...named.filter((name) => !existsSync(join(root, name))),
  ];
  expect(missing).toEqual([]);
});
