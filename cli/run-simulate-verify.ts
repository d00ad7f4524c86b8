/**
 * Looks, and looks again until what was sent has come through, or nothing changes any more.
 *
 * What is found missing may still be on its way; so may an alert. What is double, changed or made up stays so, and is told at
 * once. Before everything is called well, the processors must have nothing left to read, or, where that cannot be asked,
 * a second look must say the same. Where something is missing while they have something left and nothing moves, the run is neither
 * well nor not: that is told.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { loadRules } from "../rules/file.ts";
import { type LedgerHead, LedgerParts } from "../simulator/ledger-parts.ts";
import type { OracleRule } from "../simulator/oracle-alerts.ts";
import { ProgressPrinter } from "../simulator/progress.ts";
import { type RunVerdict, verifyParts } from "../simulator/verify.ts";
import { CloudParts } from "../simulator/verify-cloud.ts";
import { lastLine, type Unfinished, verdictText } from "../simulator/verify-text.ts";
import { readCloud } from "./cloud-view.ts";
import { COULD_NOT_LOOK, CommandError } from "./errors.ts";
import { type OpenedLog, openLog, openLogAt } from "./open-log.ts";
import { loadProgram } from "./programs.ts";
import { backlogLine, backlogOf, Progress, total, unfinished } from "./simulate-backlog.ts";
import type { VerifyOptions } from "./simulate-verify.ts";

/** Between two looks, ms. */
const LOOK_EVERY_MS = 1000;
const DAY_HOURS = 24;

type Flags = Parameters<typeof loadProgram>[2];

interface Looked {
  readonly head: LedgerHead;
  readonly verdict: RunVerdict;
  readonly unfinished: Unfinished | undefined;
}

export async function runVerify(file: string, options: VerifyOptions, flags: Flags): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-verify-"));
  const clear = () => rmSync(directory, { recursive: true, force: true });
  process.once("exit", clear);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => process.exit(COULD_NOT_LOOK));
  }
  const looked = await lookOrFail(() => lookInto(file, directory, options, flags));
  process.stdout.write(
    options.json
      ? `${JSON.stringify(plain(looked))}\n`
      : verdictText(looked.head, looked.verdict, looked.unfinished),
  );
  const { verdict } = looked;
  if (looked.unfinished) process.exitCode = COULD_NOT_LOOK;
  else if (!verdict.ok) process.exitCode = 1;
  else if (verdict.readings.acknowledged === 0) process.exitCode = COULD_NOT_LOOK;
}

async function lookInto(
  file: string,
  directory: string,
  options: VerifyOptions,
  flags: Flags,
): Promise<Looked> {
  const settings = loadProgram("tools", options.config, flags);
  const given = options.rules === undefined ? undefined : loadRules(options.rules);
  const ledger = new LedgerParts(file, { directory });
  const { head } = ledger;
  const rules = given ?? (head.rules as readonly OracleRule[] | undefined);
  const { dashboard } = options;
  const log = dashboard === undefined ? await openLog(settings, "verify") : openLogAt(dashboard);
  const { minute_keep_days: minutes, hour_keep_days: hours } = settings.rollups;
  const keepHours = { "1m": minutes * DAY_HOURS, "1h": hours * DAY_HOURS };
  const printer = new ProgressPrinter(process.stderr);
  try {
    const look = async () => {
      const place = mkdtempSync(join(directory, "look-"));
      const cloud = new CloudParts(ledger, place, keepHours);
      await readCloud(log, cloud);
      const verdict = verifyParts(head, () => cloud.parts(), rules);
      rmSync(place, { recursive: true });
      return verdict;
    };
    const tell = (line: string) => printer.update(line);
    const verdict = await settled(log, look, options.wait, tell);
    return { head, verdict, unfinished: await unfinished(log, verdict) };
  } finally {
    printer.clear();
    await log.close();
  }
}

async function settled(
  log: OpenedLog,
  look: () => Promise<RunVerdict>,
  waitMs: number,
  tell: (line: string) => void,
): Promise<RunVerdict> {
  const progress = new Progress();
  let before: string | undefined;
  let changedAt = performance.now();
  let seenGood = false;
  const moves = () => performance.now() - changedAt < waitMs;
  if (log.still) return await look();
  for (;;) {
    const backlog = await backlogOf(log);
    const { behind } = backlog;
    if (progress.moved(backlog)) changedAt = performance.now();
    if (total(backlog.onTheWay) + total(behind) > 0 && moves()) {
      tell(backlogLine(backlog));
      await pause(LOOK_EVERY_MS / 2);
      continue;
    }
    const verdict = await look();
    const { surplus, changed, unknown } = verdict.counts;
    if (surplus + changed + unknown > 0) return verdict;
    if (verdict.ok && (behind !== undefined || seenGood)) return verdict;
    seenGood = verdict.ok;
    if (!verdict.ok) {
      const now = picture(verdict);
      if (now !== before) changedAt = performance.now();
      before = now;
      if (!moves()) return verdict;
      tell(`waiting: ${lastLine(verdict)}`);
    }
    await pause(LOOK_EVERY_MS);
  }
}

function picture({ readings, counts, alerts }: RunVerdict): string {
  return JSON.stringify([readings.arrived, alerts?.expected, counts]);
}

/** For programs: whole, without what only the check itself needs. */
function plain({ head, verdict, unfinished }: Looked): object {
  const { kind, scenario, seed, complete, from, to } = head;
  const { readings, alerts, ...rest } = verdict;
  const { ok: _ok, unknown, changed, ...counts } = readings;
  const bare = <Item extends object>({ event: _, ...one }: Item & { event?: unknown }) => one;
  return {
    ...rest,
    ok: verdict.ok && unfinished === undefined,
    ...(unfinished === undefined
      ? {}
      : {
          unfinished: {
            behind: Object.fromEntries(unfinished.behind),
            onTheWay: Object.fromEntries(unfinished.onTheWay),
          },
        }),
    run: { kind, scenario, seed, complete, from, to },
    ...counts,
    changed: changed.map(({ message, arrived }) => ({ message, arrived: bare(arrived) })),
    unknown: unknown.map(bare),
    alerts,
  };
}

const NO_CLOUD_YET =
  "The processors make their topics when they first run: start `tidegate cloud` or `tidegate start`, or see whether --namespace is right";

/** "It could not look" must not be taken for "something is wrong". */
async function lookOrFail<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    const never = code === "unknown_topic" ? `${message}. ${NO_CLOUD_YET}` : message;
    throw new CommandError(`verify could not look: ${never}`, COULD_NOT_LOOK, { cause: error });
  }
}
