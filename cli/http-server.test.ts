import type { FastifyPluginAsync } from "fastify";
import { afterEach, expect, test } from "vitest";
import { HttpServer } from "./http-server.ts";

let server: HttpServer | undefined;
afterEach(() => server?.stop());

test("an address that nobody serves is answered with problem details", async () => {
  server = new HttpServer({ host: "127.0.0.1", port: 0 }, async (app) => {
    app.get("/here", async () => "yes");
    const api: FastifyPluginAsync = async (instance) => {
      instance.setNotFoundHandler((_request, reply) => reply.code(404).send({ own: true }));
    };
    await app.register(api, { prefix: "/api" });
  });
  await server.start();
  const response = await fetch(`${server.url}/nonsense?x=1`);
  expect(response.status).toBe(404);
  expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Not found",
    status: 404,
    code: "not_found",
    detail: "There is nothing at GET /nonsense?x=1.",
    instance: "/nonsense?x=1",
  });
  expect(await (await fetch(`${server.url}/here`)).text()).toBe("yes");
  // A part that has an answer of its own keeps it.
  expect(await (await fetch(`${server.url}/api/nonsense`)).json()).toEqual({ own: true });
});
