/**
 * The code about itself: who may import whom, where third parties live, what a pure core must not touch. The table is
 * the one of ARCHITECTURE.md; a change of it is a change of the design.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

const root = dirname(import.meta.dirname);

const ALL = [
  "time",
  "events",
  "rules",
  "stream",
  "gateway",
  "cloud",
  "dashboard",
  "simulator",
  "cli",
];

/** Place → what it may import, both as path prefixes. The longest matching place counts. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  time: ["time"],
  events: ["events"],
  rules: ["rules", "events"],
  stream: ["stream", "events", "time"],
  "gateway/mqtt": ["gateway/mqtt", "gateway/buffer", "gateway/payloads", "events", "time"],
  "gateway/buffer": ["gateway/buffer", "events", "time"],
  "gateway/payloads": ["gateway/payloads", "gateway/buffer", "events", "time"],
  "gateway/forwarder": ["gateway/forwarder", "gateway/buffer", "stream", "events", "time"],
  gateway: ["gateway", "stream", "rules", "events", "time"],
  cloud: ["cloud", "stream", "rules", "events", "time"],
  dashboard: ["dashboard", "stream", "rules", "events", "cloud/read-model/port.ts"],
  "dashboard/web": ["dashboard/web", "events", "cloud/read-model/port.ts"],
  "simulator/oracle": ["simulator/oracle", "events"],
  simulator: ALL.filter((folder) => folder !== "cli"),
  cli: ALL,
};

/** Third party → where it may be imported. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  aedes: ["gateway/mqtt/"],
  "classic-level": [
    "gateway/buffer/level-store.ts",
    "stream/embedded/",
    "stream/local-state.ts",
    "cloud/read-model/",
  ],
  kafkajs: ["stream/kafka/"],
  aws4fetch: ["gateway/payloads/s3-request.ts"],
  fastify: ["gateway/http.ts", "dashboard/", "cli/"],
  "@fastify/static": ["dashboard/"],
  mqtt: [],
  "mqtt-packet": [],
  preact: ["dashboard/web/"],
  uplot: ["dashboard/web/"],
  commander: ["cli/"],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.ts", "*.tsx"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "");
const sources = files.filter(
  (file) => ALL.includes(file.split("/")[0] ?? "") && !isTestSupport(file),
);

/** Tests and what only tests import may use everything. */
function isTestSupport(file: string): boolean {
  return /\.(test|child)\.tsx?$|conformance(\.ts|\/)|\/test-support\/|vite\.config\.ts$/.test(file);
}

const text = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));

function importsOf(file: string): Import[] {
  const found = (text.get(file) ?? "").matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g,
  );
  return [...found].map((match) => ({ from: file, to: match[1] ?? match[2] ?? match[3] ?? "" }));
}

/** @returns what is wrong with the import, or undefined */
function breach({ from, to }: Import): string | undefined {
  if (to.startsWith(".")) {
    const target = normalize(join(dirname(from), to));
    const place = Object.keys(TABLE)
      .filter((candidate) => from.startsWith(candidate))
      .sort((a, b) => b.length - a.length)[0];
    const allowed = place === undefined ? [] : (TABLE[place] ?? []);
    const fits = allowed.some((prefix) => target === prefix || target.startsWith(`${prefix}`));
    return fits || /\.(json|svg|css)$/.test(target)
      ? undefined
      : `${from} may not import ${target}`;
  }
  const name = to.startsWith("@") ? to.split("/").slice(0, 2).join("/") : (to.split("/")[0] ?? "");
  const rooms = ROOMS[name];
  if (!rooms || rooms.some((room) => from.startsWith(room))) return undefined;
  return `${from} may not import ${name}`;
}

describe("imports", () => {
  test("every import keeps to the table", () => {
    expect(sources.length).toBeGreaterThan(30);
    const breaches = sources.flatMap(importsOf).map(breach).filter(Boolean);
    expect(breaches).toEqual([]);
  });

  test("the check finds planted breaches", () => {
    const planted: Import[] = [
      { from: "gateway/gateway.ts", to: "../cloud/cloud.ts" },
      { from: "cloud/cloud.ts", to: "../gateway/gateway.ts" },
      { from: "gateway/mqtt/broker.ts", to: "../../stream/port.ts" },
      { from: "dashboard/routes.ts", to: "../cloud/cloud.ts" },
      { from: "simulator/oracle.ts", to: "../cloud/rollups.core.ts" },
      { from: "stream/port.ts", to: "kafkajs" },
    ];
    expect(planted.map(breach).filter(Boolean)).toHaveLength(planted.length);
  });
});

describe("files", () => {
  test("a pure core has no clock, no randomness, no timers and no I/O", () => {
    const cores = sources.filter((file) => file.endsWith(".core.ts"));
    expect(cores.length).toBeGreaterThan(3);
    const banned =
      /Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|\bset(?:Timeout|Interval|Immediate)\(|\bprocess\.|from "node:(?!assert|zlib|buffer)|\bawait\b/;
    expect(cores.filter((file) => banned.test(text.get(file) ?? ""))).toEqual([]);
  });

  test("names are kebab-case, and none is a drawer for everything", () => {
    const wrong = files.filter((file) => {
      const name = file.split("/").at(-1) ?? "";
      return (
        !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.tsx?$/.test(name) ||
        /^(utils?|helpers?|common)\./.test(name)
      );
    });
    expect(wrong).toEqual([]);
  });

  test("each module opens with why it exists", () => {
    const bare = sources.filter(
      (file) => !/^(#!.*\n)?\s*(\/\*\*?|\/\/)/.test(text.get(file) ?? ""),
    );
    expect(bare).toEqual([]);
  });

  test("no file has grown beyond what one can hold in mind", () => {
    const long = files.filter((file) => (text.get(file) ?? "").split("\n").length > 600);
    expect(long).toEqual([]);
  });

  test("only the settings loader and the process's edges read the environment", () => {
    const readers = sources.filter((file) => /process\.env\b/.test(text.get(file) ?? ""));
    expect(readers.filter((file) => !file.startsWith("cli/"))).toEqual([]);
  });
});
