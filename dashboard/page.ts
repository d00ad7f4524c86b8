/** The built page as files: hashed ones may be kept for ever, the one that names them never without asking. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

const here = dirname(fileURLToPath(import.meta.url));

/** Beside the compiled file, or where the build puts it when this runs from its source. */
export function builtPageDirectory(): string {
  const beside = join(here, "public");
  return import.meta.url.endsWith(".ts") ? join(here, "..", "dist", "dashboard", "public") : beside;
}

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidegate</title>
<h1>The page is not built</h1><p>Run <code>npm run setup</code> and start again. The API under <code>/api/v1</code> works.</p></html>`;

export async function pageRoutes(instance: FastifyInstance, directory: string): Promise<void> {
  if (!existsSync(join(directory, "index.html"))) {
    instance.log.warn({ directory }, "the dashboard's page is not built: run `npm run setup`");
    instance.get("/", (_request, reply) =>
      reply.code(503).header("cache-control", "no-store").type("text/html").send(NOT_BUILT),
    );
    return;
  }
  await instance.register(fastifyStatic, {
    root: directory,
    // One route for each file: what others serve beside us keeps its own answers for what does not exist.
    wildcard: false,
    preCompressed: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const hashed = path.startsWith(join(directory, "assets"));
      reply.header("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}
