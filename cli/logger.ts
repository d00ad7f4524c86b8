/** Logs go to standard error: as JSON for machines, as plain lines where a person looks at a terminal. */
import { Writable } from "node:stream";
import { type Logger, pino } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

export function createLogger(level: string): Logger {
  if (!process.stderr.isTTY) return pino({ level }, pino.destination({ dest: 2, sync: true }));
  return pino({ level, base: null }, plainLines(process.stderr));
}

/** `10:46:12 warn  message (reason: …)` */
function plainLines(to: NodeJS.WritableStream): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split("\n")) if (line !== "") to.write(`${plain(line)}\n`);
      done();
    },
  });
}

function plain(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? "?";
  const details = Object.entries({
    ...rest,
    ...(err ? { reason: (err as Error).message } : {}),
  }).map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const clock = new Date(Number(time)).toTimeString().slice(0, 8);
  return `${clock} ${name.padEnd(5)} ${msg}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}
