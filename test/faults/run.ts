/**
 * The long form: `npm run test:faults -- --count N --seed S [--kinds a,b]`. Rounds of the kinds in turn, each on a directory of its
 * own and with a seed of its own; at the end what was tried and what became of the readings. Exit status 1 with the line that replays it where a promise
 * was broken; `--keep` leaves that round's directory for whoever wants to look. It writes nothing outside the temporary directory.
 */
import { parseArgs } from "node:util";
import { childSeed, sfc32 } from "../../simulator/random.ts";
import type { Kind } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { Ground, missingNeed } from "./machine.ts";
import type { Verdict } from "./oracle.ts";

interface Row {
  rounds: number;
  faults: number;
  acknowledged: number;
  lost: number;
  declared: number;
  resent: number;
  redelivered: number;
  violations: number;
}

const COLUMNS = [
  ["rounds", "rounds"],
  ["faults", "faults"],
  ["acknowledged", "acknowledged"],
  ["lost", "lost"],
  ["declared lost", "declared"],
  ["sent twice", "resent"],
  ["dropped as double", "redelivered"],
  ["violations", "violations"],
] as const satisfies readonly (readonly [string, keyof Row])[];

function emptyRow(): Row {
  return {
    rounds: 0,
    faults: 0,
    acknowledged: 0,
    lost: 0,
    declared: 0,
    resent: 0,
    redelivered: 0,
    violations: 0,
  };
}

function add(row: Row, faults: number, verdicts: readonly Verdict[]): void {
  row.rounds += 1;
  row.faults += faults;
  for (const verdict of verdicts) {
    row.lost += verdict.lost;
    row.violations += verdict.faults.length;
  }
  // Power cuts are judged one by one on copies, over readings that the last verdict has all of.
  const last = verdicts.at(-1);
  if (!last) return;
  row.acknowledged += last.acknowledged;
  row.declared += last.declared;
  row.resent += last.resent;
  row.redelivered += last.redelivered;
}

function table(rows: ReadonlyMap<string, Row>): string {
  const total = emptyRow();
  for (const row of rows.values()) for (const [, field] of COLUMNS) total[field] += row[field];
  const lines = [
    ["kind", ...COLUMNS.map(([title]) => title)],
    ...[...rows, ["all", total] as const].map(([name, row]) => [
      name,
      ...COLUMNS.map(([, field]) => String(row[field])),
    ]),
  ];
  return lines
    .toSpliced(
      1,
      0,
      (lines[0] ?? []).map((_, i) => (i === 0 ? "---" : "---:")),
    )
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

async function possible(kinds: readonly Kind[]): Promise<Kind[]> {
  const found: Kind[] = [];
  for (const kind of kinds) {
    const missing = await missingNeed(kind.needs);
    if (missing) console.error(`skipped: ${kind.name}, because ${missing}`);
    else found.push(kind);
  }
  return found;
}

function chosenKinds(names: string | undefined): readonly Kind[] {
  if (names === undefined) return KINDS;
  return names.split(",").map((name) => {
    const kind = KINDS.find((one) => one.name === name);
    if (kind) return kind;
    throw new Error(`no kind ${name}; there are ${KINDS.map((one) => one.name).join(", ")}`);
  });
}

/** @returns what was wrong, in words */
async function round(kind: Kind, seed: number, row: Row): Promise<string[]> {
  const { short, keep } = values;
  const ground = new Ground();
  const broken = (wrong: string[]) => {
    if (!keep || wrong.length === 0) return wrong;
    ground.keep = true;
    return [...wrong, `kept: ${ground.directory}`];
  };
  try {
    const random = sfc32(childSeed(seed, kind.name));
    const { faults, verdicts } = await kind.run({ ground, random, short });
    add(row, faults, verdicts);
    return broken(verdicts.flatMap((verdict) => verdict.faults));
  } catch (error) {
    row.rounds += 1;
    row.violations += 1;
    return broken([(error as Error).message]);
  } finally {
    ground.release();
  }
}

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    kinds: { type: "string" },
    short: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const count = Number(values.count);
const kinds = await possible(chosenKinds(values.kinds));
const rows = new Map(kinds.map((kind) => [kind.name, emptyRow()]));
const started = performance.now();
let done = 0;
let broken = 0;

function end(): never {
  console.log(`\n${table(rows)}\n`);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(`seed ${seed}, ${done} rounds in ${minutes} minutes, ${broken} broken`);
  process.exit(broken === 0 && done === count ? 0 : 1);
}

// Grounds are given back when the process exits; without a handler a signal ends it before.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);

console.log(`seed ${seed}, ${count} rounds of ${kinds.map((kind) => kind.name).join(", ")}`);
for (; done < count; done += 1) {
  const roundSeed = seed + done;
  const kind = kinds[done % kinds.length];
  if (!kind) break;
  const row = rows.get(kind.name) ?? emptyRow();
  const wrong = await round(kind, roundSeed, row);
  console.log(`${done + 1}/${count} ${kind.name} ${wrong.length === 0 ? "kept" : "BROKEN"}`);
  if (wrong.length === 0) continue;
  broken += 1;
  for (const one of wrong) console.log(`    ${one}`);
  const short = values.short ? " --short" : "";
  console.log(
    `    again: npm run test:faults -- --count 1 --seed ${roundSeed} --kinds ${kind.name}${short}`,
  );
}
end();
