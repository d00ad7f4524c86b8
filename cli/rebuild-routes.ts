/**
 * `POST /api/v1/rebuild`: a rebuild by the process that has the embedded log open. The answer is NDJSON: `{ "progress": … }` now
 * and then, at the end `{ "summary": … }` or `{ "error": { code, message } }`. Who hangs up gives it up.
 */
import type { FastifyPluginAsync } from "fastify";
import {
  REBUILDABLE,
  type RebuildOf,
  type RebuildRequest,
  type RebuildSummary,
  rebuildCloud,
} from "../cloud/rebuild.ts";
import type { RebuildProgress } from "../stream/port.ts";
import { mayRebuild } from "./rebuild-key.ts";

export interface RebuildRoutesOptions extends RebuildOf {
  readonly key: string | undefined;
  readonly directory: string;
  readonly minFreeBytes: number;
}

export type RebuildLine =
  | { readonly progress: RebuildProgress }
  | { readonly summary: RebuildSummary }
  | { readonly error: { readonly code?: string; readonly message: string } };

/** How often progress is told, ms. */
const TELL_MS = 200;

const body = {
  type: "object",
  additionalProperties: false,
  required: ["topology", "dryRun"],
  properties: {
    topology: { enum: [...REBUILDABLE] },
    from: { type: "integer", minimum: 0 },
    dryRun: { type: "boolean" },
    rules: {
      type: "object",
      additionalProperties: false,
      required: ["text", "file"],
      properties: { text: { type: "string" }, file: { type: "string" } },
    },
  },
} as const;

export const rebuildRoutes: FastifyPluginAsync<RebuildRoutesOptions> = async (app, options) => {
  const { key, directory, minFreeBytes, ...of } = options;
  app.post<{ Body: RebuildRequest }>(
    "/api/v1/rebuild",
    { schema: { body } },
    async (request, reply) => {
      if (!mayRebuild(key, request.headers.authorization)) {
        const title = "a rebuild needs the key in rebuild.key of the data directory";
        return reply
          .code(401)
          .type("application/problem+json")
          .send({ title, status: 401, code: "unauthorized" });
      }
      const abort = new AbortController();
      reply.hijack();
      const out = reply.raw;
      out.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
      out.on("close", () => abort.abort(new Error("whoever asked for the rebuild has gone")));
      const tell = (line: RebuildLine) => out.write(`${JSON.stringify(line)}\n`);
      let told = Number.NEGATIVE_INFINITY;
      const onProgress = (progress: RebuildProgress) => {
        const now = performance.now();
        if (now - told < TELL_MS) return;
        told = now;
        tell({ progress });
      };
      const { signal } = abort;
      try {
        const surroundings = { directory, minFreeBytes, signal, onProgress };
        tell({ summary: await rebuildCloud(of, request.body, surroundings) });
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        tell({ error: { ...(code === undefined ? {} : { code }), message } });
      } finally {
        out.end();
      }
    },
  );
};
