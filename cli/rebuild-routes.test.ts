import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Cloud } from "../cloud/cloud.ts";
import { TestJournal } from "../cloud/test-support/journal.ts";
import { SETTINGS } from "../cloud/test-support/pipeline.ts";
import { topicNames } from "../events/topics.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { HttpServer } from "./http-server.ts";
import { writeRebuildKey } from "./rebuild-key.ts";
import { rebuildOverHttp } from "./rebuild-over-http.ts";
import { rebuildRoutes } from "./rebuild-routes.ts";

const silent = { info() {}, warn() {}, error() {} };
let directory = "";
let url = "";
let log: EmbeddedEventLog;
let cloud: Cloud;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-rebuild-http-"));
  log = new EmbeddedEventLog({ directory: join(directory, "log") });
  await log.start();
  const topics = { partitions: 2, events_retention_days: 30 };
  const namespace = "test";
  cloud = new Cloud({ log, namespace, rules: [], settings: SETTINGS, topics, logger: silent });
  await cloud.start();
  const journal = new TestJournal("gw-one");
  const records = Array.from({ length: 300 }, (_, i) => journal.reading(`d${i % 4}`, { t: i }));
  await log.append(
    topicNames(namespace).events,
    records.map(({ key, headers, value }) => ({ key: key ?? "", headers, value })),
  );
  await cloud.caughtUp();
  const options = { log, namespace, settings: SETTINGS, key: writeRebuildKey(directory) };
  const room = { directory: join(directory, "rebuild"), minFreeBytes: 1 };
  const http = new HttpServer({ host: "127.0.0.1", port: 0 }, async (app) => {
    await app.register(rebuildRoutes, { ...options, ...room });
  });
  await http.start();
  url = http.url;
  onTestFinished(async () => {
    await http.stop();
    await cloud.stop();
    await log.stop();
    rmSync(directory, { recursive: true });
  });
});

const request = { topology: "rollups", dryRun: false } as const;

test("the running process makes it, and tells how far it is", async () => {
  const told: number[] = [];
  const { signal } = new AbortController();
  const summary = await rebuildOverHttp(directory, url, request, signal, ({ records }) =>
    told.push(records),
  );
  expect(summary).toMatchObject({ records: 300, whole: true, changed: 0, partitions: 2 });
  expect(told.length).toBeGreaterThan(0);
});

test("what it cannot do is told as it says it", async () => {
  const { signal } = new AbortController();
  await log.stop();
  const asked = rebuildOverHttp(directory, url, request, signal, () => {});
  await expect(asked).rejects.toThrow("not running");
});

test("nobody who cannot read the key may ask, and no page on the web", async () => {
  expect(statSync(join(directory, "rebuild.key")).mode & 0o777).toBe(0o600);
  const post = (headers: Record<string, string>, body = JSON.stringify(request)) =>
    fetch(`${url}/api/v1/rebuild`, { method: "POST", headers, body });
  const json = { "content-type": "application/json" };
  expect((await post(json)).status).toBe(401);
  expect((await post({ ...json, authorization: "Bearer wrong" })).status).toBe(401);
  expect((await post({ "content-type": "text/plain" })).status).toBe(400);
  expect((await post(json, '{"topology":"ledger","dryRun":true}')).status).toBe(400);
});
