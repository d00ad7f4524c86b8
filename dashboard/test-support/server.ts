/** The dashboard's plugin on a server of its own, on any free port of this machine. */
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { type DashboardOptions, dashboardRoutes } from "../routes.ts";

export interface DashboardServer {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly address: { readonly port: number; readonly url: string } | undefined;
}

/** @param options.port default 0, any free one; a fixed one lets a server come back where it was */
export function createDashboardServer(
  options: DashboardOptions & { readonly port?: number },
): DashboardServer {
  const { port = 0, ...dashboard } = options;
  let instance: FastifyInstance | undefined;
  let address: DashboardServer["address"];
  return {
    get address() {
      return address;
    },
    async start() {
      if (instance) return;
      instance = fastify({ forceCloseConnections: true }) as FastifyInstance;
      await instance.register(dashboardRoutes, dashboard);
      await instance.listen({ host: "127.0.0.1", port });
      const bound = instance.server.address() as AddressInfo;
      address = { port: bound.port, url: `http://127.0.0.1:${bound.port}/` };
    },
    async stop() {
      const server = instance;
      instance = undefined;
      address = undefined;
      await server?.close();
    },
  };
}
