/**
 * Looks, and looks again until what was sent has come through, or nothing changes any more.
 *
 * What is found missing may still be on its way; so may an alert. What is double, changed or made up stays so, and is told at
 * once. Before everything is called well, the processors must have nothing left to read, or, where that cannot be asked,
 * a second look must say the same.
 */
import { setTimeout as pause } from "node:timers/promises";
import { loadRules } from "../rules/file.ts";
import type { SentLedger } from "../simulator/oracle-ledger.ts";
import { readLedger } from "../simulator/oracle-ledger.ts";
import { ProgressPrinter } from "../simulator/progress.ts";
import { type RunVerdict, verifyRun } from "../simulator/verify.ts";
import { lastLine, verdictText } from "../simulator/verify-text.ts";
import { readCloud } from "./cloud-view.ts";
import { COULD_NOT_LOOK, CommandError } from "./errors.ts";
import { type OpenedLog, openLog, openLogAt } from "./open-log.ts";
import { loadProgram } from "./programs.ts";
import type { VerifyOptions } from "./simulate-verify.ts";

/** Between two looks, ms. */
const LOOK_EVERY_MS = 1000;
const DAY_HOURS = 24;

type Flags = Parameters<typeof loadProgram>[2];

export async function runVerify(file: string, options: VerifyOptions, flags: Flags): Promise<void> {
  const { ledger, verdict } = await lookOrFail(async () => {
    const settings = loadProgram("tools", options.config, flags);
    const rules = options.rules === undefined ? undefined : loadRules(options.rules);
    const sent = readLedger(file);
    const { dashboard } = options;
    const log = dashboard === undefined ? await openLog(settings, "verify") : openLogAt(dashboard);
    const { minute_keep_days: minutes, hour_keep_days: hours } = settings.rollups;
    const keepHours = { "1m": minutes * DAY_HOURS, "1h": hours * DAY_HOURS };
    const devices = new Set(sent.messages.map(({ device }) => device));
    const printer = new ProgressPrinter(process.stderr);
    try {
      const look = async () =>
        verifyRun(sent, await readCloud(log, devices, keepHours), rules ?? undefined);
      const found = await settled(log, look, options.wait * 1000, (line) => printer.update(line));
      return { ledger: sent, verdict: found };
    } finally {
      printer.clear();
      await log.close();
    }
  });
  process.stdout.write(
    options.json ? `${JSON.stringify(plain(ledger, verdict))}\n` : verdictText(ledger, verdict),
  );
  if (!verdict.ok) process.exitCode = 1;
  else if (verdict.readings.acknowledged === 0) process.exitCode = COULD_NOT_LOOK;
}

async function settled(
  log: OpenedLog,
  look: () => Promise<RunVerdict>,
  waitMs: number,
  tell: (line: string) => void,
): Promise<RunVerdict> {
  let before: string | undefined;
  let changedAt = performance.now();
  let seenGood = false;
  const changed = (picture: string) => {
    if (picture !== before) changedAt = performance.now();
    before = picture;
    return performance.now() - changedAt < waitMs;
  };
  for (;;) {
    const behind = await backlog(log);
    if (behind.records > 0 && changed(JSON.stringify(behind))) {
      tell(`${behind.records.toLocaleString("en-US")} records are on their way`);
      await pause(LOOK_EVERY_MS / 2);
      continue;
    }
    const verdict = await look();
    const { surplus, changed: others, unknown } = verdict.readings;
    if (surplus.length + others.length + unknown.length > 0) return verdict;
    if (verdict.ok && (behind.certain || seenGood)) return verdict;
    seenGood = verdict.ok;
    if (!verdict.ok) {
      if (!changed(picture(verdict))) return verdict;
      tell(`waiting: ${lastLine(verdict)}`);
    }
    await pause(LOOK_EVERY_MS);
  }
}

interface Backlog {
  /** On the way to the log, or not processed yet. */
  readonly records: number;
  /** Whether the processors themselves have been asked. */
  readonly certain: boolean;
}

async function backlog(log: OpenedLog): Promise<Backlog> {
  const { totals } = await log.audit();
  const lag = await log.lag();
  return { records: totals.onTheWay + (lag ?? 0), certain: lag !== undefined };
}

function picture({ readings, rollups, alerts }: RunVerdict): string {
  const wrong = [readings.missing.length, rollups.length, alerts?.differences.length];
  return JSON.stringify([readings.arrived, alerts?.expected, ...wrong]);
}

/** For programs: whole, without what only the check itself needs. */
function plain(ledger: SentLedger, { readings, alerts, ...verdict }: RunVerdict): object {
  const { kind, scenario, seed, complete, from, to } = ledger;
  const { ok: _ok, unknown, changed, ...counts } = readings;
  const bare = <Item extends object>({ event: _, ...one }: Item & { event?: unknown }) => one;
  return {
    ...verdict,
    run: { kind, scenario, seed, complete, from, to },
    ...counts,
    changed: changed.map(({ message, arrived }) => ({ message, arrived: bare(arrived) })),
    unknown: unknown.map(bare),
    alerts,
  };
}

/** "It could not look" must not be taken for "something is wrong". */
async function lookOrFail<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const { message } = error as Error;
    throw new CommandError(`verify could not look: ${message}`, COULD_NOT_LOOK, { cause: error });
  }
}
