/**
 * The long form: `npm run test:cluster -- --minutes M --seed S`. Prints what happens as it happens, and at the end how often each
 * kind of fault struck and what became of the readings. Exit status 1 where a promise was broken, with the line that runs it
 * again and the directory in which everything was left.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kafkaJars } from "../kafka/kafka-jars.ts";
import { type ClusterReport, runCluster } from "./cluster-run.ts";
import { told } from "./report.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    gateways: { type: "string", default: "200" },
    alone: { type: "string", default: "8" },
    rate: { type: "string", default: "3" },
    processors: { type: "string", default: "3" },
    partitions: { type: "string", default: "6" },
    keep: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const directory = mkdtempSync(join(tmpdir(), "tidegate-cluster-"));
const again = `npm run test:cluster -- --minutes ${values.minutes} --seed ${seed} --gateways ${values.gateways} --alone ${values.alone} --rate ${values.rate} --processors ${values.processors} --partitions ${values.partitions}`;

async function run(): Promise<number> {
  const jars = await kafkaJars();
  if (!jars.available) throw new Error(`there is no Kafka to run: ${jars.reason}`);
  console.log(`seed ${seed}, everything in ${directory}`);
  let report: ClusterReport;
  try {
    report = await runCluster({
      seed,
      directory,
      gateways: Number(values.gateways),
      gatewayProcesses: 4,
      oneGateways: Number(values.alone),
      processors: Number(values.processors),
      partitions: Number(values.partitions),
      rate: Number(values.rate),
      untilMs: Number(values.minutes) * 60_000,
      faults: {
        brokers: Infinity,
        processors: Infinity,
        gateways: Infinity,
        "one gateway": Infinity,
      },
      onNote: (line) => console.log(line),
    });
  } catch (error) {
    console.log(`\nBROKEN: ${(error as Error).stack}\nagain: ${again}\nkept: ${directory}`);
    return 1;
  }
  console.log(`\n${told(report)}`);
  console.log(`seed ${seed}, ${report.problems.length} problems`);
  if (report.problems.length === 0) return 0;
  writeFileSync(join(directory, "timeline"), report.timeline.join("\n"));
  for (const problem of report.problems) console.log(`    ${problem}`);
  console.log(`again: ${again}\nkept: ${directory}`);
  return 1;
}

const code = await run();
if (code === 0 && !values.keep) rmSync(directory, { recursive: true, force: true });
process.exit(code);
