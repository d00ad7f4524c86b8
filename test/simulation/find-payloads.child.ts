/** Runs seeds of large payloads from 1 to the given one, and says which is the first that fails and how; nothing where none does. */
import { runPayloads } from "./payload-site.ts";

const [most = 1] = process.argv.slice(2).map(Number);
let now = 0;
// An assertion of the product itself, in what nobody waits for.
process.on("unhandledRejection", (error) => {
  console.log(JSON.stringify({ seed: now, how: `thrown: ${(error as Error).message}` }));
  process.exit(0);
});
for (let seed = 1; seed <= most; seed += 1) {
  now = seed;
  const [how] = (await runPayloads(seed)).problems;
  if (how === undefined) continue;
  console.log(JSON.stringify({ seed, how: how.slice(0, 300) }));
  process.exit(0);
}
