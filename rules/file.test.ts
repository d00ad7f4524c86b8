import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseDuration } from "./duration.ts";
import { loadRules, parseRules, RulesError } from "./file.ts";
import { globPattern } from "./rule.ts";

function faults(text: string): readonly string[] {
  try {
    parseRules(text, "rules.yaml");
  } catch (error) {
    if (error instanceof RulesError) return error.faults;
    throw error;
  }
  return [];
}

test("a rule as people write it", () => {
  const text = `
rules:
  - name: freezer-warm
    when: temperature above -15
    for: 1h30m
    clear: below -18
    device: freezer-*
    severity: critical
    message: "{device} is at {value}, threshold {threshold}"
    freshness: 10m
  - { name: short, when: "battery level below 0.5e1 for 0s" }
`;
  expect(parseRules(text, "rules.yaml")).toEqual([
    {
      name: "freezer-warm",
      metric: "temperature",
      when: { direction: "above", threshold: -15 },
      clear: { direction: "below", threshold: -18 },
      forMs: 5_400_000,
      freshnessMs: 600_000,
      device: "freezer-*",
      gateway: "*",
      severity: "critical",
      message: "{device} is at {value}, threshold {threshold}",
    },
    {
      name: "short",
      metric: "battery level",
      when: { direction: "below", threshold: 5 },
      forMs: 0,
      freshnessMs: 3_600_000,
      device: "*",
      gateway: "*",
      severity: "warning",
      message: "{device}: {metric} is {value}, below 5",
    },
  ]);
});

test("a file without rules is one without alerts", () => {
  expect(parseRules("", "rules.yaml")).toEqual([]);
  expect(parseRules("# all off\n", "rules.yaml")).toEqual([]);
  expect(parseRules("rules: []", "rules.yaml")).toEqual([]);
});

test("all faults at once, each with its place and what to do", () => {
  const text = `rules:
  - name: one
    when: temperature over -15
    sevrity: critical
    severity: urgent
  - name: one
    when: temperature above -15 for 5 minutes
    clear: above -20
    for: 30
    message: "{devcie} is hot"
  - when: humidity above 80 for 5m
    for: 5m
    clear: below 90
    freshness: soon
    device: [a, b]
  - name: "bad name"
  - just text
`;
  expect(faults(text)).toEqual([
    'rules.yaml:3:11: when cannot be read; write it like "temperature above -15" or "temperature above -15 for 5m"',
    'rules.yaml:4:5: unknown key "sevrity"; known are name, when, for, clear, device, gateway, severity, message, freshness',
    "rules.yaml:5:15: severity must be one of info, warning, critical",
    'rules.yaml:6:11: rule 1 is called "one" already; names are unique',
    'rules.yaml:7:11: when cannot be read; write it like "temperature above -15" or "temperature above -15 for 5m"',
    "rules.yaml:9:10: for must be a duration like 30s, 5m or 1h30m",
    "rules.yaml:10:14: message has the unknown placeholder {devcie}; known are {device}, {gateway}, {metric}, {rule}, {value}, {threshold}",
    'rules.yaml:11:5: a rule needs "name"',
    'rules.yaml:12:10: "for" stands in "when" already; write it once',
    "rules.yaml:13:12: clear below 90 would end alerts whose condition still holds; use below 80 or further",
    "rules.yaml:14:16: freshness must be a duration like 30s, 5m or 1h30m",
    "rules.yaml:15:13: device must be a text",
    'rules.yaml:16:5: a rule needs "when"; write it like "temperature above -15" or "temperature above -15 for 5m"',
    'rules.yaml:16:11: name must be 1 to 64 letters, digits, "_", "." or "-", beginning with a letter or digit',
    "rules.yaml:17:5: a rule is a map with at least name and when",
  ]);
});

test.each([
  ["rule: []", 'rules.yaml:1:1: the file needs "rules:" with a list below it'],
  ["rule: []", 'rules.yaml:1:1: unknown key "rule"; known are rules'],
  ["- name: a", 'rules.yaml:1:1: the file is a map: write "rules:" with a list below it'],
  ["rules: {a: 1}", 'rules.yaml:1:8: "rules" is a list: begin each rule with "- name: …"'],
  [
    "rules:\n  - name: a\n    name: b\n    when: t above 1",
    "rules.yaml:3:5: Map keys must be unique",
  ],
  ["rules:\n  - name: a\n   when: x", "rules.yaml:3:"],
  [
    "rules:\n  - name: a\n    when: t above 1\n    clear: above 3",
    'rules.yaml:4:12: "when" looks above 1, so clear must look below: e.g. "below 1"',
  ],
  [
    "rules:\n  - name: a\n    when: t above 1 for ever",
    'rules.yaml:3:11: "for ever" is not a duration like 30s, 5m or 1h30m',
  ],
  ["rules:\n  - name: a\n    when: t above 1e999", "rules.yaml:3:11: when cannot be read"],
  [
    "rules:\n  - name: a\n    when: t above 1\n    device: '*a*b*c*d*e*f*g*h*i*'",
    "has more than 8 stars",
  ],
])("%j", (text, message) => {
  expect(faults(text).some((one) => one.includes(message))).toBe(true);
});

test("a file that is not there says so", () => {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-rules-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "rules.yaml");
  expect(() => loadRules(file)).toThrow(
    `${file}: no such file; name a rules file that can be read`,
  );
  writeFileSync(file, "rules: [{ name: a, when: t above 1 }]");
  expect(loadRules(file)).toHaveLength(1);
});

test("the example in the documentation is one that can be used", () => {
  const file = join(import.meta.dirname, "../docs/examples/rules.yaml");
  expect(loadRules(file).map((rule) => rule.name)).toContain("freezer-warm");
});

test("a duration may be written with a blank and with min", () => {
  const text = "rules:\n  - { name: one, when: temperature above 5 for 5 min, freshness: 2 h }\n";
  expect(parseRules(text, "rules.yaml")[0]).toMatchObject({
    forMs: 300_000,
    freshnessMs: 7_200_000,
  });
});

test("durations", () => {
  expect(["0s", "30s", "5m", "1h", "2d", "1h30m", "250ms", "0.5m"].map(parseDuration)).toEqual([
    0, 30_000, 300_000, 3_600_000, 172_800_000, 5_400_000, 250, 30_000,
  ]);
  expect(["5 min", "5min", "10 s", "1 h 30 min", "1h 30m"].map(parseDuration)).toEqual([
    300_000, 300_000, 10_000, 5_400_000, 5_400_000,
  ]);
  for (const text of [
    "",
    " ",
    "5",
    "m",
    "5  m",
    " 5m",
    "5m ",
    "-5m",
    "5 minutes",
    "1e9d",
    `${"9".repeat(20)}d`,
  ]) {
    expect(parseDuration(text), text).toBeUndefined();
  }
});

test("globs match the whole name, and nothing in them is an expression", () => {
  const matches = (glob: string, names: string[]) =>
    names.map((name) => globPattern(glob).test(name));
  expect(matches("freezer-*", ["freezer-1", "freezer-", "freezer", "a-freezer-1"])).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(matches("a.?[1]", ["a.x[1]", "abx1", "a.x1"])).toEqual([true, false, false]);
  expect(matches("*é?", ["café!", "é\n", "é"])).toEqual([true, true, false]);
});

test("a key that is a list or a map, as braces without quotes make it", () => {
  expect(faults("rules:\n  - { {name}: a }\n  - ? [x]\n    : 1\n")).toEqual([
    "rules.yaml:2:7: a key is a text; put quotes around one that begins with { or [",
    "rules.yaml:3:7: a key is a text; put quotes around one that begins with { or [",
  ]);
});
