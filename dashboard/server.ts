/** The dashboard as a server of its own, for `tidegate dashboard`. The read model is started and stopped by its owner. */
import type { AddressInfo } from "node:net";
import fastify, { type FastifyBaseLogger, type FastifyInstance } from "fastify";
import { listenError } from "./errors.ts";
import { type DashboardOptions, dashboardRoutes } from "./routes.ts";

export interface DashboardServerOptions extends DashboardOptions {
  /** Default 127.0.0.1: the pages ask for no password, so other machines are let in only when asked for. */
  readonly host?: string;
  /** Default 8080; 0 takes any free one. */
  readonly port?: number;
  readonly logger?: FastifyBaseLogger;
}

export interface DashboardServer {
  /** Idempotent. @throws DashboardError */
  start(): Promise<void>;
  /** Ends open streams and closes; idempotent. */
  stop(): Promise<void>;
  /** Where it listens; undefined unless started. */
  readonly address:
    | { readonly host: string; readonly port: number; readonly url: string }
    | undefined;
}

export function createDashboardServer(options: DashboardServerOptions): DashboardServer {
  const { host = "127.0.0.1", port = 8080, logger, ...dashboard } = options;
  let instance: FastifyInstance | undefined;
  let address: DashboardServer["address"];
  return {
    get address() {
      return address;
    },
    async start() {
      if (instance) return;
      const server = fastify({
        ...(logger ? { loggerInstance: logger } : {}),
        forceCloseConnections: true,
      });
      instance = server as FastifyInstance;
      try {
        await server.register(dashboardRoutes, dashboard);
        await server.listen({ host, port });
      } catch (error) {
        instance = undefined;
        await server.close();
        throw (error as NodeJS.ErrnoException).syscall ? listenError(error, host, port) : error;
      }
      const bound = server.server.address() as AddressInfo;
      const shown = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
      address = { host: bound.address, port: bound.port, url: `http://${shown}:${bound.port}/` };
    },
    async stop() {
      const server = instance;
      instance = undefined;
      address = undefined;
      await server?.close();
    },
  };
}
