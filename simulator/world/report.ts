/** A failing run for a person: what is wrong, what it takes to fail, what happened, and how to see it again. */
import { faultText } from "./faults.ts";
import { clockText, type TimelineEntry } from "./record.ts";
import type { Shrunk } from "./shrink.ts";
import type { RunResult } from "./simulate.ts";

/** Lines of the timeline that are shown, from the end. */
const MOST_LINES = 60;

export function failureText(failed: RunResult, shrunk: Shrunk, replay: string): string {
  const { scenario, faults, result, runs } = shrunk;
  const devices = scenario.gateways.flatMap((gateway) =>
    gateway.devices.map(({ name, qos, persistent, everyMs, behaviour }) => {
      const session = persistent ? "persistent session" : "clean session";
      return `  ${gateway.name}/${name}: QoS ${qos}, ${session}, every ${everyMs} ms, ${JSON.stringify(behaviour)}`;
    }),
  );
  return [
    `${scenario.name} fails with seed ${scenario.seed}:`,
    ...failed.problems.map(({ check, message }) => `  ${check}: ${message}`),
    "",
    `Smallest that still fails, after ${runs} runs: ${Math.round(scenario.durationMs / 1000)} s,`,
    ...devices,
    ...faults.map((fault) => `  ${faultText(fault, scenario)}`),
    ...result.problems.slice(0, 5).map(({ check, message }) => `  → ${check}: ${message}`),
    "",
    "What happened in it:",
    ...timelineText(result.timeline),
    "",
    `Again: ${replay}`,
  ].join("\n");
}

export function timelineText(timeline: readonly TimelineEntry[]): string[] {
  const left = timeline.length - MOST_LINES;
  return [
    ...(left > 0 ? [`  … ${left} lines before`] : []),
    ...timeline.slice(-MOST_LINES).map(({ at, who, what }) => `  ${clockText(at)} ${who}: ${what}`),
  ];
}
