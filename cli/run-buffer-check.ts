/** The work of `tidegate buffer check`. */
import { quarantined } from "../gateway/buffer/examine.ts";
import { checkText, runningText, verdictOf } from "./buffer-text.core.ts";
import { openBuffer, storeOf } from "./open-buffer.ts";

/** @returns the exit status: 0 whole, 1 something is wrong */
export async function checkBuffer(dataDir: string, json: boolean): Promise<number> {
  const directory = storeOf(dataDir);
  const opened = await openBuffer(dataDir);
  const originals = await quarantined(directory);
  if (opened.kind === "running") {
    const { pid, http, status, unready } = opened.running;
    const buffer = status?.buffer;
    // A full buffer takes no readings where it refuses; that is no damage.
    const sound = unready === undefined || buffer?.state === "full";
    const ok = sound && (buffer?.lost.damage ?? 0) === 0;
    const report = {
      directory,
      verdict: "running",
      pid,
      http,
      ready: unready === undefined,
      buffer,
    };
    process.stdout.write(
      json
        ? `${JSON.stringify({ ...report, quarantined: originals })}\n`
        : runningText(opened.running, buffer, unready, originals),
    );
    return ok ? 0 : 1;
  }
  const { examined } = opened;
  const { examination } = examined;
  await examined.close();
  const verdict = verdictOf(examination);
  process.stdout.write(
    json
      ? `${JSON.stringify({ directory, verdict, ...examination, quarantined: originals })}\n`
      : checkText(directory, examination, originals),
  );
  return verdict === "whole" ? 0 : 1;
}
