/**
 * The same test with many seeds: other noise, other faults, other delays. Where one fails, what it takes to fail is found out
 * by leaving out faults, devices, gateways and time as long as the test fails at the same place, and told with the seed.
 */
import { LiveFleet } from "./live-fleet.ts";
import type { Overrides } from "./scenario/build.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { type Failure, failureOf, Unwell } from "./sweep-failure.ts";
import { sweepText } from "./sweep-text.ts";
import { faultsOf } from "./world/faults.ts";
import { type Case, smallest } from "./world/shrink.ts";

export interface SweepOptions extends Omit<Overrides, "seed"> {
  /** How many seeds. */
  readonly seeds: number;
  /** The first one; they go up from there. Default: 1. */
  readonly from?: number;
  /**
   * What is to hold with every seed: it throws where it does not, as `expect` does. Where it has not finished the fleet, that
   * is done after it. Without it, and after it, the run's `problems` must be empty.
   */
  readonly check?: (site: LiveFleet, seed: number) => Promise<void> | void;
  /** Runs that may be spent on making a failing one small; 0 leaves it as it is. Default: 100. */
  readonly shrinkRuns?: number;
}

export interface SweepResult {
  readonly seeds: number;
  /** Readings, of all runs. */
  readonly sent: number;
  readonly acknowledged: number;
  /** Faults as they struck, by kind, of all runs: what does not stand here has never been tried. */
  readonly strikes: Readonly<Record<string, number>>;
  /** Alerts that fired. */
  readonly fired: number;
}

/** A seed with which it does not hold. The message says what it takes, what happened, and how to see it again. */
export class SweepError extends Error {
  readonly code = "sweep";
  readonly seed: number;
  constructor(seed: number, message: string, cause: unknown) {
    super(message, { cause });
    this.name = "SweepError";
    this.seed = seed;
  }
}

const SHRINK_RUNS = 100;
const MOST_SEEDS = 1_000_000;

/** @throws SweepError at the first seed that fails; also where a rule has looked at nothing with any seed */
export async function sweep(
  scenarioOf: (overrides: Overrides) => Scenario,
  options: SweepOptions,
): Promise<SweepResult> {
  const { seeds, from = 1, check, shrinkRuns = SHRINK_RUNS, ...overrides } = options;
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > MOST_SEEDS) {
    throw new RangeError(`seeds is ${seeds}; it must be a whole number from 1 to ${MOST_SEEDS}`);
  }
  const strikes = new Map<string, number>();
  /** What every run so far has warned of. */
  let warnings: ReadonlySet<string> | undefined;
  const sum = { sent: 0, acknowledged: 0, fired: 0 };
  for (let seed = from; seed < from + seeds; seed += 1) {
    const scenario = scenarioOf({ ...overrides, seed });
    const whole = { scenario, faults: faultsOf(scenario) };
    const { site, failure } = await tried(whole, seed, check);
    if (failure) {
      const again = async (candidate: Case) => {
        const other = await tried(candidate, seed, check);
        if (other.failure?.place !== failure.place) return undefined;
        return { site: other.site, failure: other.failure };
      };
      const result = { site, failure };
      const small = await smallest({ ...whole, result }, again, shrinkRuns);
      const smaller = small.result !== result;
      // What fails by something else than the fleet is not made small by leaving parts of the fleet out.
      const fails = smaller || shrinkRuns === 0 || (await again(whole)) !== undefined;
      const text = await sweepText(seed, failure, { ...small, ...small.result, fails });
      throw new SweepError(seed, text, failure.error);
    }
    const { result } = site;
    if (!result) continue;
    sum.sent += result.sent;
    sum.acknowledged += result.acknowledged;
    warnings = new Set(result.warnings.filter((one) => warnings?.has(one) ?? true));
    sum.fired += result.alerts.filter(({ state }) => state === "firing").length;
    for (const [kind, times] of Object.entries(result.strikes)) {
      strikes.set(kind, (strikes.get(kind) ?? 0) + times);
    }
  }
  if (warnings && warnings.size > 0) {
    // A rule that looks at nothing holds whatever happens: the sweep would say that all is well.
    const every = seeds === 1 ? "the only seed" : `every one of ${seeds} seeds`;
    const text = [`With ${every}, so that it was not tried:`, ...warnings].join("\n  ");
    throw new SweepError(from, text, undefined);
  }
  return { seeds, ...sum, strikes: Object.fromEntries([...strikes].sort()) };
}

async function tried(
  { scenario, faults }: Case,
  seed: number,
  check: SweepOptions["check"],
): Promise<{ readonly site: LiveFleet; readonly failure: Failure | undefined }> {
  const site = new LiveFleet(scenario, faults);
  try {
    await site.start();
    await check?.(site, seed);
    const { problems } = site.result ?? (await site.finish());
    if (problems.length > 0) throw new Unwell(problems);
    return { site, failure: undefined };
  } catch (error) {
    return { site, failure: failureOf(error) };
  }
}
