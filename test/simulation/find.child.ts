/** Runs seeds from 1 to the given one, and says which is the first that fails and how; nothing where none does. */
import { randomScenario } from "../../simulator/world/random-scenario.ts";
import { simulate } from "../../simulator/world/simulate.ts";

const [most = 1, decay = 0.2] = process.argv.slice(2).map(Number);
let now = 0;
// An assertion of the product itself, in what nobody waits for.
process.on("unhandledRejection", (error) => {
  console.log(JSON.stringify({ seed: now, how: `thrown: ${(error as Error).message}` }));
  process.exit(0);
});
for (let seed = 1; seed <= most; seed += 1) {
  now = seed;
  let how: string | undefined;
  try {
    const { problems } = await simulate(randomScenario(seed, { decay }), { drainMs: 20 * 60_000 });
    how = problems[0] && `${problems[0].check}: ${problems[0].message}`;
  } catch (error) {
    // An assertion of the product itself.
    how = `thrown: ${(error as Error).message}`;
  }
  if (how === undefined) continue;
  console.log(JSON.stringify({ seed, how: how.slice(0, 300) }));
  process.exit(0);
}
