/** One worker of run.ts: seeds from the first on, each stride apart, until it is told to stop. One line of JSON for each. */
import { randomScenario } from "../../simulator/world/random-scenario.ts";
import { failureText } from "../../simulator/world/report.ts";
import { shrink } from "../../simulator/world/shrink.ts";
import { simulate } from "../../simulator/world/simulate.ts";

/** What a worker tells of a seed. */
export interface SeedLine {
  readonly seed: number;
  readonly acknowledged: number;
  readonly strikes: Readonly<Record<string, number>>;
  /** Of virtual time. */
  readonly hours: number;
  /** The whole story; undefined where the seed holds. */
  readonly failure?: string;
}

const [first = 1, stride = 1, count = Number.POSITIVE_INFINITY] = process.argv.slice(2).map(Number);
let stopped = false;
process.on("SIGTERM", () => {
  stopped = true;
});

let now = first;
process.on("unhandledRejection", (error) => {
  const failure = `seed ${now} ended in an error that nobody waits for: ${(error as Error).stack}\n\nAgain: npm run test:simulation -- --seed ${now} --count 1`;
  console.log(JSON.stringify({ seed: now, acknowledged: 0, strikes: {}, hours: 0, failure }));
  process.exit(1);
});

for (let at = 0; at < count && !stopped; at += 1) {
  const seed = first + at * stride;
  now = seed;
  console.log(JSON.stringify(await lineOf(seed)));
}

async function lineOf(seed: number): Promise<SeedLine> {
  const result = await simulate(randomScenario(seed));
  const { acknowledged, strikes, elapsedMs } = result;
  const line = { seed, acknowledged, strikes, hours: elapsedMs / 3_600_000 };
  if (result.ok) return line;
  const again = `npm run test:simulation -- --seed ${seed} --count 1`;
  return { ...line, failure: failureText(result, await shrink(result), again) };
}
