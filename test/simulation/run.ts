/**
 * The long form: seeds of short scenarios in virtual time for as long as one likes, on all processors; in the end how many
 * there were, what went wrong in them and how often, and whatever failed, made small.
 *
 *   npm run test:simulation -- --minutes 30
 *   npm run test:simulation -- --seed 1234 --count 1
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { SeedLine } from "./run.child.ts";

const options = {
  minutes: { type: "string" },
  seed: { type: "string" },
  count: { type: "string" },
  workers: { type: "string" },
} as const;

function asked() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(
      `${(error as Error).message}\nThere are --minutes, --seed, --count and --workers, each with a number.`,
    );
    return process.exit(2);
  }
}
const values = asked();

function number(name: keyof typeof values, least: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= least) return value;
  console.error(`--${name} ${text}: a number from ${least} on is needed`);
  process.exit(2);
}

const minutes = number("minutes", 0) ?? (values.count === undefined ? 1 : undefined);
const count = number("count", 1);
// Another place each time, and told, so that every run can be had again.
const seed = number("seed", 0) ?? Math.floor(Date.now() / 1000) * 1000;
const workers = Math.min(number("workers", 1) ?? availableParallelism(), count ?? 1024);

const strikes = new Map<string, number>();
let seeds = 0;
let acknowledged = 0;
let hours = 0;
let failures = 0;
const begun = performance.now();

function take(line: SeedLine): void {
  seeds += 1;
  acknowledged += line.acknowledged;
  hours += line.hours;
  for (const [kind, times] of Object.entries(line.strikes)) {
    strikes.set(kind, (strikes.get(kind) ?? 0) + times);
  }
  if (line.failure === undefined) return;
  failures += 1;
  console.log(`\n${line.failure}\n`);
}

async function work(at: number): Promise<void> {
  const share = count === undefined ? [] : [String(Math.ceil((count - at) / workers))];
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "run.child.ts"), String(seed + at), String(workers), ...share],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const over = minutes === undefined ? undefined : setTimeout(() => child.kill(), minutes * 60_000);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) take(JSON.parse(line));
  clearTimeout(over);
  const code = await ended;
  if (code === 0) return;
  failures += 1;
  console.log(`a worker ended with ${code}: it ran seeds ${seed + at}, ${seed + at + workers} …`);
}

console.log(`seeds from ${seed} on, ${workers} at a time`);
await Promise.all(Array.from({ length: workers }, (_, at) => work(at)));

const took = (performance.now() - begun) / 3_600_000;
const figure = (value: number) => Math.round(value).toLocaleString("en");
console.log(
  `\n${figure(seeds)} seeds, ${figure(seeds / took)} an hour; ${figure(hours)} hours of virtual time`,
);
console.log(`${figure(acknowledged)} readings acknowledged; ${failures} seeds failed\n`);
const width = Math.max(...[...strikes.keys()].map(({ length }) => length), 0);
for (const [kind, times] of [...strikes].sort(([a], [b]) => (a < b ? -1 : 1))) {
  console.log(`  ${kind.padEnd(width)}  ${figure(times).padStart(10)}`);
}
process.exitCode = failures > 0 || seeds === 0 ? 1 : 0;
