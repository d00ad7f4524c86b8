/** The processors as a program of their own. */
import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import { Cloud } from "../cloud/cloud.ts";
import { registerCloudMetrics } from "../cloud/metrics.ts";
import { loadRules } from "../rules/file.ts";
import { CommandError } from "./errors.ts";
import { HttpServer } from "./http-server.ts";
import { createKafkaLog } from "./kafka-log.ts";
import { startParts, untilSignal } from "./lifetime.ts";
import { createLogger } from "./logger.ts";
import type { ProgramSettings } from "./programs.ts";
import { rebuildSweep } from "./rebuild-room.ts";
import { VERSION } from "./version.ts";

export async function runCloud(settings: ProgramSettings["cloud"]): Promise<void> {
  const { namespace, topics } = settings;
  const { brokers } = settings.kafka;
  if (brokers.length === 0) throw new CommandError(needsBrokers("cloud"));
  const logger = createLogger(settings.log_level);
  const rules = settings.rules === undefined ? [] : loadRules(settings.rules);
  const log = createKafkaLog(settings, "cloud", logger);
  const cloud = new Cloud({ log, namespace, rules, settings, topics, logger });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerCloudMetrics(registry, cloud);
  const http = new HttpServer(settings.http, async (app) => {
    app.get("/health/live", async () => ({ status: "live" }));
    app.get("/health/ready", async (_request, reply) => {
      const status = cloud.status();
      return reply.code(status.state === "running" ? 200 : 503).send(status);
    });
    app.get("/metrics", async (_request, reply) =>
      reply.type(registry.contentType).send(await registry.metrics()),
    );
  });
  const stop = await startParts([rebuildSweep(settings), log, cloud, http]);
  console.log(`Tidegate ${VERSION} · processors

  Kafka    ${brokers.join(", ")}
  Rules    ${settings.rules ? `${rules.length} from ${settings.rules}` : "none: nothing alerts (--rules FILE)"}
  Health   ${http.url}/health/ready
  Metrics  ${http.url}/metrics
`);
  await untilSignal(stop, logger, "Stopped.");
}

export function needsBrokers(program: string): string {
  return `tidegate ${program} works on Kafka: name it with --brokers HOST:PORT. Without a Kafka, \`tidegate start\` runs everything in one process`;
}
