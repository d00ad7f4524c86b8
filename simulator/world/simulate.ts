/** A scenario from its beginning to its end in virtual time, and what the oracles say of it. */
import type { Scenario } from "../scenario/scenario.ts";
import { checkWorld, type RunOutcome } from "./check.ts";
import type { TimelineEntry } from "./record.ts";
import { World, type WorldOptions } from "./world.ts";

export interface RunResult extends RunOutcome {
  readonly ok: boolean;
  readonly scenario: Scenario;
  readonly sent: number;
  readonly acknowledged: number;
  /** Faults as they struck, by kind. */
  readonly strikes: Readonly<Record<string, number>>;
  readonly timeline: readonly TimelineEntry[];
  /** Timers that came due: what a run costs. */
  readonly turns: number;
  /** Virtual time that went by, ms. */
  readonly elapsedMs: number;
}

export async function simulate(scenario: Scenario, options: WorldOptions = {}): Promise<RunResult> {
  const world = new World(scenario, options);
  await world.start();
  await world.runUntil(scenario.durationMs);
  return await finish(world);
}

/** Heals the world, lets it come to rest, and asks the oracles. */
export async function finish(world: World): Promise<RunResult> {
  const restless = await world.drain();
  const outcome = await checkWorld(world);
  const problems = [
    ...(restless === undefined ? [] : [{ check: "rest" as const, message: restless }]),
    ...outcome.problems,
  ];
  return {
    ...outcome,
    problems,
    ok: problems.length === 0,
    scenario: world.scenario,
    sent: world.sent.length,
    acknowledged: world.sent.filter(({ acknowledged }) => acknowledged).length,
    strikes: world.record.strikes,
    timeline: world.record.timeline,
    turns: world.time.turns,
    elapsedMs: world.time.now,
  };
}
