/** The gateway as a program of its own. It loads no processor and no dashboard. */
import { Registry } from "@prometheus-io/client";
import { Gateway } from "../gateway/gateway.ts";
import { gatewayRoutes } from "../gateway/http.ts";
import { registerGatewayMetrics } from "../gateway/metrics.ts";
import { journalTopicSpecs } from "../stream/topic-specs.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { HttpServer } from "./http-server.ts";
import { createKafkaLog } from "./kafka-log.ts";
import { STOPPED, startParts, untilSignal } from "./lifetime.ts";
import { createLogger } from "./logger.ts";
import type { ProgramSettings } from "./programs.ts";
import { runFilePart } from "./run-file.ts";
import { VERSION } from "./version.ts";

export async function runGateway(settings: ProgramSettings["gateway"]): Promise<void> {
  const logger = createLogger(settings.log_level);
  makeDataDirectory(settings.data_dir);
  const { brokers } = settings.kafka;
  const log = brokers.length > 0 ? createKafkaLog(settings, "gateway", logger) : undefined;
  const gateway = new Gateway({
    settings,
    dataDir: settings.data_dir,
    namespace: settings.namespace,
    version: VERSION,
    logger,
    ...(log ? { log, topics: journalTopicSpecs(settings.namespace, settings.topics) } : {}),
  });
  const registry = new Registry();
  registerGatewayMetrics(registry, gateway);
  const http = new HttpServer(settings.http, async (app) => {
    await app.register(gatewayRoutes, { gateway, registry });
  });
  const runFile = runFilePart(
    settings.data_dir,
    () => ({ pid: process.pid, http: http.url, program: "gateway" }),
    logger,
  );
  const stop = await startParts([...(log ? [log] : []), gateway, http, runFile]);
  console.log(`Tidegate ${VERSION} · gateway ${gateway.id}

  MQTT      mqtt://${settings.mqtt.host}:${gateway.mqttPort}
  Health    ${http.url}/health/ready
  Metrics   ${http.url}/metrics
  Buffer    ${settings.data_dir}
  Forwards  ${log ? `to Kafka at ${brokers.join(", ")}` : "nowhere: no brokers are set, readings are kept in the buffer (--brokers HOST:PORT)"}
`);
  await untilSignal(stop, logger, STOPPED);
}
