import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { FakeReadModel } from "./test-support/fake-read-model.ts";
import { createDashboardServer, type DashboardServer } from "./test-support/server.ts";

const started: DashboardServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function serve(options: { publicDirectory?: string } = {}) {
  const server = createDashboardServer({ readModel: new FakeReadModel(), ...options });
  started.push(server);
  await server.start();
  return server;
}

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
