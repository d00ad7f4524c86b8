/** What the world can do to the dashboard's server, told by code; bugs of our own are assertion errors. */
export const DASHBOARD_ERROR_CODES = [
  /** Another program listens on the port. */
  "port_in_use",
  /** The port needs rights that the process does not have. */
  "port_not_permitted",
  /** The host is no address of this machine. */
  "address_not_available",
  /** The server could not listen for another reason. */
  "listen_failed",
] as const;
export type DashboardErrorCode = (typeof DASHBOARD_ERROR_CODES)[number];

export class DashboardError extends Error {
  readonly code: DashboardErrorCode;
  constructor(code: DashboardErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DashboardError";
    this.code = code;
  }
}

/** Turns what `listen` threw into an error that says what to do. */
export function listenError(error: unknown, host: string, port: number): DashboardError {
  const cause = error as NodeJS.ErrnoException;
  const at = `${host}:${port}`;
  switch (cause.code) {
    case "EADDRINUSE":
      return new DashboardError(
        "port_in_use",
        `The HTTP port ${at} is in use by another program. Stop that one, or choose another port with --http-port (0 takes any free one).`,
        { cause },
      );
    case "EACCES":
      return new DashboardError(
        "port_not_permitted",
        `This user may not listen on ${at}. Choose a port above 1023 with --http-port.`,
        { cause },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new DashboardError(
        "address_not_available",
        `${host} is no address of this machine. Set the HTTP host to 127.0.0.1 (this machine only), 0.0.0.0 (every network) or one of its own addresses.`,
        { cause },
      );
    default:
      return new DashboardError("listen_failed", `Cannot listen on ${at}: ${cause.message}`, {
        cause,
      });
  }
}
