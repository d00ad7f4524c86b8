/** What can go wrong from outside while simulating or replaying, each with what to do; our own bugs are assertions. */

export const SIMULATOR_ERRORS = ["options", "broker_unreachable", "recording", "ledger"] as const;
export type SimulatorErrorCode = (typeof SIMULATOR_ERRORS)[number];

export class SimulatorError extends Error {
  readonly code: SimulatorErrorCode;
  constructor(code: SimulatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SimulatorError";
    this.code = code;
  }
}

/** @param reason why there is no connection, the last heard */
export function brokerUnreachable(
  host: string,
  port: number,
  reason: string | undefined,
): SimulatorError {
  // The address is said already.
  const why = reason?.replace(` ${host}:${port}`, "") ?? "it says nothing";
  return new SimulatorError(
    "broker_unreachable",
    `no broker answers at ${host}:${port} (${why}): start one with \`npx tidegate start\`, or name it with --host and --mqtt-port`,
  );
}

/** @throws SimulatorError `options` with every fault there is */
export function refuseFaults(faults: readonly (string | false | undefined)[]): void {
  const found = faults.filter((fault) => typeof fault === "string");
  if (found.length > 0) throw new SimulatorError("options", found.join("; "));
}

/**
 * @param least the lower bound in words, where the number is not fit to be read
 * @returns the fault, or undefined where the number is within its range
 */
export function rangeFault(
  name: string,
  value: number,
  min: number,
  max: number,
  least = String(min),
): string | undefined {
  return value >= min && value <= max
    ? undefined
    : `${name} is ${value}; it must be ${least} to ${max}`;
}
