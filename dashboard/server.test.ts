import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createDashboardServer, type DashboardServer } from "./server.ts";
import { FakeReadModel } from "./test-support/fake-read-model.ts";

const started: DashboardServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function serve(options: { port?: number; host?: string; publicDirectory?: string } = {}) {
  const server = createDashboardServer({ readModel: new FakeReadModel(), port: 0, ...options });
  started.push(server);
  await server.start();
  return server;
}

test("port 0 takes a free port of this machine only, and says which", async () => {
  const server = await serve();
  expect(server.address?.host).toBe("127.0.0.1");
  const answer = await fetch(`${server.address?.url}api/v1/gateways`);
  expect(await answer.json()).toEqual({ items: [] });
});

test("start and stop can be called twice, and again", async () => {
  const server = await serve();
  await server.start();
  await server.stop();
  await server.stop();
  expect(server.address).toBeUndefined();
  await server.start();
  expect(server.address?.port).toBeGreaterThan(0);
});

test("a port in use is told with what to do, and another start can follow", async () => {
  const first = await serve();
  const second = createDashboardServer({
    readModel: new FakeReadModel(),
    port: first.address?.port ?? 0,
  });
  started.push(second);
  await expect(second.start()).rejects.toMatchObject({
    code: "port_in_use",
    message: expect.stringContaining("--http-port"),
  });
  await first.stop();
  await second.start();
  expect(second.address).toBeDefined();
});

test("an address of another machine is told as such", async () => {
  await expect(serve({ host: "192.0.2.1" })).rejects.toMatchObject({
    code: "address_not_available",
  });
});

test("the page is served: hashed files for ever, index.html never without asking", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-page-"));
  folders.push(folder);
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>page</title>");
  await writeFile(join(folder, "assets", "app-12345678.js"), "1");
  const server = await serve({ publicDirectory: folder });
  const page = await fetch(server.address?.url ?? "");
  expect(await page.text()).toContain("<title>page");
  expect(page.headers.get("cache-control")).toBe("no-cache");
  expect(page.headers.get("content-security-policy")).toMatch("default-src 'self'");
  const asset = await fetch(`${server.address?.url}assets/app-12345678.js`);
  expect(asset.headers.get("cache-control")).toMatch("immutable");
  expect((await fetch(`${server.address?.url}assets/gone.js`)).status).toBe(404);
});

test("a page that is not built says what to run", async () => {
  const server = await serve({ publicDirectory: join(tmpdir(), "tidegate-no-such-page") });
  const page = await fetch(server.address?.url ?? "");
  expect(page.status).toBe(503);
  expect(await page.text()).toContain("npm run setup");
});
