/** Everything on one machine, in one process: log, processors, gateway, pages. */
import { join } from "node:path";
import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import type { Logger } from "pino";
import { Cloud } from "../cloud/cloud.ts";
import { registerCloudMetrics } from "../cloud/metrics.ts";
import type { ObjectSource } from "../dashboard/api.ts";
import { dashboardOptionsOf } from "../dashboard/config.ts";
import { dashboardRoutes } from "../dashboard/routes.ts";
import { Gateway } from "../gateway/gateway.ts";
import { gatewayRoutes } from "../gateway/http.ts";
import { registerGatewayMetrics } from "../gateway/metrics.ts";
import { isObjectKey } from "../gateway/payloads/keys.core.ts";
import { openObjectStore } from "../gateway/payloads/open-store.ts";
import { loadRules } from "../rules/file.ts";
import { journalTopicSpecs } from "../stream/topic-specs.ts";
import { createEventLog } from "./connect-log.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { HttpServer } from "./http-server.ts";
import { STOPPED, startParts, untilSignal } from "./lifetime.ts";
import { logRoutes } from "./log-routes.ts";
import { createLogger } from "./logger.ts";
import type { ProgramSettings } from "./programs.ts";
import { writeRebuildKey } from "./rebuild-key.ts";
import { rebuildRoom, rebuildSweep } from "./rebuild-room.ts";
import { rebuildRoutes } from "./rebuild-routes.ts";
import { runFilePart } from "./run-file.ts";
import { VERSION } from "./version.ts";

export type StartSettings = ProgramSettings["start"];

export interface Started {
  readonly gateway: Gateway;
  readonly cloud: Cloud;
  readonly url: string;
  readonly logger: Logger;
  readonly stop: () => Promise<void>;
}

/** @throws coded errors whose messages say what to do; what had started is stopped again */
export async function startAll(settings: StartSettings): Promise<Started> {
  const logger = createLogger(settings.log_level);
  const rules = settings.rules === undefined ? [] : loadRules(settings.rules);
  makeDataDirectory(settings.data_dir);
  const { data_dir: dataDir, namespace, topics } = settings;
  const log = createEventLog(settings, "start", logger);
  const gateway = new Gateway({
    settings,
    dataDir,
    namespace,
    version: VERSION,
    logger,
    log,
    topics: journalTopicSpecs(namespace, topics),
  });
  const readModelDirectory = join(dataDir, "read-model");
  const cloud = new Cloud({ log, namespace, rules, settings, topics, logger, readModelDirectory });
  const { readModel } = cloud;
  if (!readModel) throw new Error("a cloud with a directory has a read model");

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerGatewayMetrics(registry, gateway);
  registerCloudMetrics(registry, cloud);
  const http = new HttpServer(settings.http, async (app) => {
    await app.register(gatewayRoutes, { gateway, registry });
    await app.register(logRoutes, { log, namespace });
    await app.register(rebuildRoutes, {
      log,
      namespace,
      settings,
      key: writeRebuildKey(dataDir),
      ...rebuildRoom(settings),
    });
    await app.register(dashboardRoutes, {
      ...dashboardOptionsOf(settings.dashboard),
      readModel,
      objects: objectSource(settings),
      version: VERSION,
      namespace,
      hints: { mqttHost: shownHost(settings.mqtt.host), mqttPort: gateway.mqttPort },
    });
  });
  const runFile = runFilePart(dataDir, () => ({ pid: process.pid, http: http.url }), logger);
  // The gateway first: the processors ask for the log's topics, and a device waits for nothing behind the buffer.
  const stop = await startParts([rebuildSweep(settings), log, gateway, cloud, http, runFile]);
  return { gateway, cloud, url: http.url, logger, stop };
}

/** The gateway's object store, for the pages. */
function objectSource(settings: StartSettings): ObjectSource {
  const store = openObjectStore(settings.payloads, settings.data_dir, 0);
  return async (key, signal) => (isObjectKey(key) ? await store.get(key, signal) : undefined);
}

/** A host that a client on this machine can use. */
export function shownHost(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}

export function addresses(settings: StartSettings, { gateway, url }: Started): string {
  const { brokers } = settings.kafka;
  const log =
    brokers.length > 0 ? `Kafka at ${brokers.join(", ")}` : "embedded, in the data directory";
  return `  Dashboard  ${url}
  MQTT       mqtt://${shownHost(settings.mqtt.host)}:${gateway.mqttPort}
  Gateway    ${gateway.id}
  Log        ${log}
  Data       ${settings.data_dir}
  Health     ${url}/health/ready
  Metrics    ${url}/metrics
`;
}

/**
 * Commands to try, as they have to be typed here.
 * @param device to publish as: one that nobody else is
 */
export function whatToTry(
  settings: StartSettings,
  { gateway }: Started,
  device = "freezer-1",
): string {
  const port = gateway.mqttPort === 1883 ? "" : ` -p ${gateway.mqttPort}`;
  const { brokers } = settings.kafka;
  const where =
    brokers.length > 0 ? ` --brokers ${brokers.join(",")}` : ` --data-dir ${settings.data_dir}`;
  return `  mosquitto_pub${port} -q 1 -t sensors/${device} -m '{"temperature": -12.5}'
  npx tidegate tail events${where}
  npx tidegate audit${where}
`;
}

export async function runStart(settings: StartSettings): Promise<void> {
  const started = await startAll(settings);
  console.log(`Tidegate ${VERSION} is running.

${addresses(settings, started)}
Try, in another terminal:

${whatToTry(settings, started)}${settings.rules === undefined ? "\nNothing alerts yet: rules are set with --rules FILE.\n" : ""}
Ctrl-C stops it.
`);
  await untilSignal(started.stop, started.logger, STOPPED);
}
