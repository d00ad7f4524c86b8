/**
 * The event log over HTTP, for `tidegate tail` and `tidegate audit` beside a running process.
 *
 * `GET /api/v1/log/:entity?last=10&follow=true` records as NDJSON; `GET /api/v1/audit` what the ledger says.
 */
import type { FastifyPluginAsync } from "fastify";
import { type EventLog, EventLogError } from "../stream/port.ts";
import { auditLog } from "./audit-log.ts";
import { recordJson } from "./record-json.ts";
import { tailRecords } from "./tail-records.ts";
import { writePatiently } from "./write-patiently.ts";

export interface LogRoutesOptions {
  readonly log: EventLog;
  readonly namespace: string;
}

const query = {
  type: "object",
  additionalProperties: false,
  properties: {
    last: { type: "integer", minimum: 0, default: 10 },
    all: { type: "boolean", default: false },
    follow: { type: "boolean", default: false },
  },
} as const;

interface Query {
  readonly last: number;
  readonly all: boolean;
  readonly follow: boolean;
}

export const logRoutes: FastifyPluginAsync<LogRoutesOptions> = async (app, { log, namespace }) => {
  app.get("/api/v1/audit", async () => auditLog(log, namespace));

  app.get<{ Params: { entity: string }; Querystring: Query }>(
    "/api/v1/log/:entity",
    { schema: { querystring: query } },
    async (request, reply) => {
      const topic = topicOf(namespace, request.params.entity);
      try {
        await log.ranges(topic);
      } catch (error) {
        if (!(error instanceof EventLogError)) throw error;
        const status = error.code === "unknown_topic" ? 404 : 503;
        return reply
          .code(status)
          .type("application/problem+json")
          .send({ title: error.message, status, code: error.code });
      }
      const { last, all, follow } = request.query;
      const abort = new AbortController();
      reply.hijack();
      const out = reply.raw;
      out.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
      out.on("close", () => abort.abort());
      try {
        await tailRecords(
          log,
          { topic, last: all ? Number.POSITIVE_INFINITY : last, follow },
          abort.signal,
          async (records) => {
            const text = records
              .map((record) => `${JSON.stringify(recordJson(record))}\n`)
              .join("");
            // A reader that is slower than the log holds up its own tail and nothing else.
            await writePatiently(out, text, abort.signal);
          },
        );
      } finally {
        out.end();
      }
    },
  );
};

/** `events` → `telemetry.events.v1`; a whole topic name stays as it is. */
export function topicOf(namespace: string, entity: string): string {
  return entity.includes(".") ? entity : `${namespace}.${entity}.v1`;
}
