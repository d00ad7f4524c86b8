/** Every bench with its own defaults, one after another: the figures of docs/performance.md. */
import { spawnSync } from "node:child_process";
import { cpus, release } from "node:os";
import { join } from "node:path";

const NAMES = [
  "acks",
  "latency",
  "memory",
  "drain",
  "wire",
  "wear",
  "log-away",
  "fleet",
  "virtual-day",
  "processors",
  "scale",
];

console.log(`${cpus().length} × ${cpus()[0]?.model}, Linux ${release()}, Node ${process.version}`);
for (const name of NAMES) {
  console.log(`\n## ${name}\n`);
  // A process for each: what one left in memory must not weigh on the next.
  const script = join(import.meta.dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, [script], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
