/** The pages as a program of their own, over a read model that is filled from Kafka. */
import { join } from "node:path";
import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import { registerReadModelMetrics } from "../cloud/metrics.ts";
import { LevelStore } from "../cloud/read-model/level-store.ts";
import { StoredReadModel } from "../cloud/read-model/stored-read-model.ts";
import { dashboardOptionsOf } from "../dashboard/config.ts";
import { dashboardRoutes } from "../dashboard/routes.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { CommandError } from "./errors.ts";
import { HttpServer } from "./http-server.ts";
import { createKafkaLog } from "./kafka-log.ts";
import { startParts, untilSignal } from "./lifetime.ts";
import { createLogger } from "./logger.ts";
import type { ProgramSettings } from "./programs.ts";
import { needsBrokers } from "./run-cloud.ts";
import { VERSION } from "./version.ts";

export async function runDashboard(settings: ProgramSettings["dashboard"]): Promise<void> {
  const { namespace } = settings;
  const { brokers } = settings.kafka;
  if (brokers.length === 0) throw new CommandError(needsBrokers("dashboard"));
  const logger = createLogger(settings.log_level);
  makeDataDirectory(settings.data_dir);
  const log = createKafkaLog(settings, "dashboard", logger);
  const directory = join(settings.data_dir, "read-model");
  const readModel = new StoredReadModel({
    store: new LevelStore({ directory }),
    namespace,
    settings: settings.read_model,
    log,
    logger,
  });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerReadModelMetrics(registry, readModel);
  const http = new HttpServer(settings.http, async (app) => {
    app.get("/health/live", async () => ({ status: "live" }));
    // The pages are answered also while Kafka is away: they show that themselves.
    app.get("/health/ready", async () => ({ status: "ready" }));
    app.get("/metrics", async (_request, reply) =>
      reply.type(registry.contentType).send(await registry.metrics()),
    );
    await app.register(dashboardRoutes, {
      ...dashboardOptionsOf(settings.dashboard),
      readModel,
      version: VERSION,
      namespace,
    });
  });
  const stop = await startParts([log, readModel, http]);
  console.log(`Tidegate ${VERSION} · dashboard

  Dashboard  ${http.url}
  Kafka      ${brokers.join(", ")}
  Data       ${settings.data_dir}
  Health     ${http.url}/health/ready
  Metrics    ${http.url}/metrics
`);
  await untilSignal(stop, logger, "Stopped.");
}
