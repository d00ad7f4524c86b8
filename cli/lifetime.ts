/** From start to signal: parts start in order, and stop in reverse when the process is told to end. */
import type { Logger } from "pino";

export interface Part {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A stop that takes longer than this ends the process anyway: what was acknowledged is on disk already. */
const STOP_DEADLINE_MS = 15_000;

/** What a program that takes readings says at its end. */
export const STOPPED = "Stopped; what was acknowledged is on disk.";

/**
 * Starts the parts one after another; if one fails, stops those before it and throws its error.
 * @returns what stops them all
 */
export async function startParts(parts: readonly Part[]): Promise<() => Promise<void>> {
  const started: Part[] = [];
  const stop = async () => {
    for (const part of started.splice(0).reverse()) await part.stop();
  };
  for (const part of parts) {
    try {
      await part.start();
    } catch (error) {
      await stop();
      throw error;
    }
    started.push(part);
  }
  return stop;
}

/**
 * Resolves when the process is told to end (SIGINT, SIGTERM), then stops; a second signal ends it at once.
 * @param farewell what to say to standard output when everything has stopped
 */
export async function untilSignal(
  stop: () => Promise<void>,
  logger: Logger,
  farewell: string,
): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => process.exit(130));
  const late = setTimeout(() => {
    logger.warn("stopping takes too long; ending now, nothing acknowledged is lost");
    process.exit(0);
  }, STOP_DEADLINE_MS);
  late.unref();
  await stop();
  clearTimeout(late);
  console.log(farewell);
}
