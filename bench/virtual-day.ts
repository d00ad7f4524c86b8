/**
 * How long a day takes in virtual time: twenty gateways with ten devices each, a reading every five minutes, links that go
 * down and power that fails, and the oracles over all of it in the end.
 *
 *   npm run bench -- virtual-day [hours]
 */
import { fleet } from "../simulator/simulator.ts";
import { table, verdict } from "./report.ts";

const HOURS = Number(process.argv[2] ?? 24);
const MOST_SECONDS = 60;

const day = fleet({
  name: "day",
  duration: `${HOURS}h`,
  rules: [
    { name: "freezer-warm", when: "temperature above -15", for: "10m", device: "*freezer-*" },
  ],
  gateways: [
    {
      name: "site",
      count: 20,
      link: { down: { every: "12h", for: "30m" } },
      power: { every: "2d", for: "2m" },
      devices: [
        { kind: "freezer", count: 4, every: "5m" },
        { kind: "room", count: 3, every: "5m" },
        { kind: "power-meter", count: 3, every: "5m" },
      ],
    },
  ],
});

const begun = performance.now();
const run = await day.run({ seed: 1 });
const seconds = (performance.now() - begun) / 1000;
console.log(
  table([
    {
      "hours of virtual time": run.elapsedMs / 3_600_000,
      seconds,
      readings: run.sent,
      events: run.events,
      "events each second": run.events / seconds,
      timers: run.turns,
      problems: run.problems.length,
    },
  ]),
);
for (const { check, message } of run.problems) console.log(`  ${check}: ${message}`);
console.log();
console.log(
  verdict("a day of 20 gateways with 10 devices, seconds", seconds, "at most", MOST_SECONDS),
);
if (run.problems.length > 0) process.exitCode = 1;
