/**
 * How a command ends. 0: done. 1: it could not be done, or `audit` found something missing. 2: `audit` could not look.
 *
 * What the world does wrong is one line that says what and what to do; a stack trace is never shown, except of a bug of
 * ours when TIDEGATE_DEBUG is set.
 */

/** The exit code where "it could not look" must not be taken for "something is wrong". */
export const COULD_NOT_LOOK = 2;

/** A fault that the command's user can mend; the message says how. */
export class CommandError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** @returns what to print and the exit code */
export function explainError(error: unknown, debug: boolean): { text: string; exitCode: number } {
  if (error instanceof CommandError) return { text: error.message, exitCode: error.exitCode };
  if (!(error instanceof Error)) return { text: String(error), exitCode: 1 };
  // Our coded errors carry a lower-case code and are written to be read; so are those of the system.
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const known = code !== undefined && !code.startsWith("ERR_");
  if (known) return { text: debug ? (error.stack ?? error.message) : error.message, exitCode: 1 };
  const text = `${error.message} (this is a bug in tidegate; TIDEGATE_DEBUG=1 shows where)`;
  return { text: debug ? (error.stack ?? text) : text, exitCode: 1 };
}
