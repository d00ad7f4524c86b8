/** A seed with which a test fails, for a person: the failure, what it takes, what happened, and how to see it again. */
import type { FleetAlert, LiveFleet } from "./live-fleet.ts";
import type { Failure } from "./sweep-failure.ts";
import { faultText } from "./world/faults.ts";
import { clockText } from "./world/record.ts";
import { timelineText } from "./world/report.ts";
import type { Case } from "./world/shrink.ts";

interface Small extends Case {
  readonly site: LiveFleet;
  readonly failure: Failure;
  readonly runs: number;
  /** Whether it has failed again at all. */
  readonly fails: boolean;
}

export async function sweepText(seed: number, failed: Failure, small: Small): Promise<string> {
  const { scenario, faults, site, failure, runs, fails } = small;
  const devices = scenario.gateways.map(
    ({ name, devices }) => `  ${name}: ${devices.map((device) => device.name).join(", ")}`,
  );
  return [
    `${scenario.name} fails with seed ${seed}:`,
    ...indented(failed.words),
    "",
    fails
      ? `The smallest that still fails there, after ${runs} runs: ${clockText(scenario.durationMs)} of`
      : `It did not fail there again with the same seed, so its cause may lie outside of the fleet: ${clockText(scenario.durationMs)} of`,
    ...devices,
    ...(faults.length === 0 ? ["  with nothing that goes wrong by the scenario"] : ["with"]),
    ...faults.map((fault) => `  ${faultText(fault, scenario)}`),
    ...(failure.words === failed.words ? [] : ["and", ...indented(failure.words)]),
    "",
    ...alertLines(await alertsOf(site)),
    "What happened in it:",
    ...timelineText(site.timeline.filter(({ what }) => !what.startsWith("warn: status not sent"))),
    "",
    `Again: start({ seed: ${seed} }), or sweep({ from: ${seed}, seeds: 1, … })`,
  ].join("\n");
}

/** Of a message of many lines, the first ones: the whole stands in the cause. */
const MOST_LINES = 12;
const MOST_ALERTS = 40;

function indented(words: string): string[] {
  const lines = words.split("\n");
  const more = lines.length > MOST_LINES ? ["  …"] : [];
  return [...lines.slice(0, MOST_LINES).map((line) => `  ${line}`), ...more];
}

async function alertsOf(site: LiveFleet): Promise<readonly FleetAlert[]> {
  try {
    return site.result?.alerts ?? (await site.alerts());
  } catch {
    // The test has left it in the middle of something.
    return [];
  }
}

/** Where there are too many, those that fired: what began and was over before its time has woken nobody. */
export function alertLines(alerts: readonly FleetAlert[]): string[] {
  const fired = new Set(alerts.filter(({ state }) => state === "firing").map(episodeOf));
  const many = alerts.length > MOST_ALERTS;
  const told = many ? alerts.filter((alert) => fired.has(episodeOf(alert))) : alerts;
  const left = alerts.length - Math.min(told.length, MOST_ALERTS);
  return [
    alerts.length === 0 ? "alerts: none" : "alerts:",
    ...told
      .slice(0, MOST_ALERTS)
      .map(
        ({ at, device, rule, state, value, historical }) =>
          `  ${clockText(at)} ${rule} ${state}: ${device} ${value}${historical ? " (historical)" : ""}`,
      ),
    ...(left > 0 ? [`  and ${left} more`] : []),
  ];
}

function episodeOf({ alert, episode }: FleetAlert): string {
  return `${alert} ${episode}`;
}
