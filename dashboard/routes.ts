/**
 * The dashboard as a Fastify plugin: page and API over a read model. Whoever registers it owns the server and the read
 * model; the plugin begins to listen for changes when the server is ready and ends its streams when it closes.
 */
import type { FastifyPluginAsync, FastifyPluginOptions } from "fastify";
import type { ReadModel } from "../cloud/read-model/port.ts";
import { apiRoutes, type ObjectSource } from "./api.ts";
import { LiveHub } from "./live.ts";
import { builtPageDirectory, pageRoutes } from "./page.ts";
import { SECURITY_HEADERS } from "./security-headers.ts";

/** Where devices publish. Port 0 or undefined: not known here. */
export interface DashboardHints {
  readonly mqttHost?: string;
  readonly mqttPort?: number;
}

export interface DashboardOptions extends FastifyPluginOptions {
  readonly readModel: ReadModel;
  /** The program's version, shown at the foot of the page. */
  readonly version?: string;
  /** Topic namespace, default `telemetry`. */
  readonly namespace?: string;
  /** For what an empty page tells to type; a function where the port is known only once the gateway runs. */
  readonly hints?: DashboardHints | (() => DashboardHints);
  /** Folder of the built page; default: where the build puts it. */
  readonly publicDirectory?: string;
  /** Where large payloads are; without it pages only name them. */
  readonly objects?: ObjectSource;
  /** ms since 1970; default the system's clock. */
  readonly now?: () => number;
  /** See dashboardConfigSchema for these and their defaults. */
  readonly heartbeatMs?: number;
  readonly frameMs?: number;
  readonly maxLiveClients?: number;
  readonly liveStallTimeoutMs?: number;
}

export const dashboardRoutes: FastifyPluginAsync<DashboardOptions> = async (instance, options) => {
  const now = options.now ?? Date.now;
  const hub = new LiveHub({
    readModel: options.readModel,
    now,
    heartbeatMs: options.heartbeatMs ?? 2000,
    frameMs: options.frameMs ?? 250,
    maxClients: options.maxLiveClients ?? 100,
    stallTimeoutMs: options.liveStallTimeoutMs ?? 10_000,
  });
  const info = () => {
    const { mqttHost, mqttPort } =
      (typeof options.hints === "function" ? options.hints() : options.hints) ?? {};
    return {
      version: options.version ?? "",
      namespace: options.namespace ?? "telemetry",
      time: now(),
      source: options.readModel.source(),
      objects: options.objects !== undefined,
      ...(mqttPort ? { mqtt: { host: mqttHost ?? "localhost", port: mqttPort } } : {}),
    };
  };

  instance.addHook("onReady", async () => hub.start());
  instance.addHook("preClose", async () => hub.stop());
  instance.addHook("onSend", async (_request, reply) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      // An answer may be stricter.
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
  });
  await instance.register(apiRoutes, {
    prefix: "/api/v1",
    readModel: options.readModel,
    hub,
    info,
    objects: options.objects,
  });
  await pageRoutes(instance, options.publicDirectory ?? builtPageDirectory());
};
