/** What the gateway answers over HTTP: whether it lives, whether it takes readings, what it has done. */
import type { Registry } from "@prometheus-io/client";
import type { FastifyPluginAsync } from "fastify";
import type { Gateway } from "./gateway.ts";

export interface GatewayRoutesOptions {
  readonly gateway: Gateway;
  readonly registry: Registry;
}

/**
 * `GET /health/live` 200 while the process answers; `GET /health/ready` 200 while readings are taken, also into a full
 * buffer whose oldest give way, else 503 with the reason;
 * `GET /metrics` in Prometheus' text format; `GET /api/v1/gateway` the gateway's own status.
 */
export const gatewayRoutes: FastifyPluginAsync<GatewayRoutesOptions> = async (
  app,
  { gateway, registry },
) => {
  app.get("/health/live", async () => ({ status: "live" }));
  app.get("/health/ready", async (_request, reply) => {
    const unready = gateway.unready ?? refusing(gateway);
    if (unready !== undefined)
      return reply.code(503).send({ status: "not ready", reason: unready });
    const { buffer, sink } = gateway.report();
    return {
      status: "ready",
      buffered_events: buffer.waiting,
      buffer: buffer.state,
      log: sink?.state ?? "none",
      ...(sink?.lastError ? { log_error: sink.lastError } : {}),
    };
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  app.get("/api/v1/gateway", async (_request, reply) => {
    const status = gateway.started ? gateway.status() : undefined;
    if (status) return status;
    return reply.code(503).send({ status: "not ready", reason: gateway.unready });
  });
};

/** A buffer that is full and refuses takes no reading: the broker listens, and acknowledges nothing. */
function refusing(gateway: Gateway): string | undefined {
  const { state, policy } = gateway.report().buffer;
  return state === "full" && policy === "refuse"
    ? "full: nothing more is acknowledged until the log takes some"
    : undefined;
}
