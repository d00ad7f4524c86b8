import { readFileSync } from "node:fs";
import { join } from "node:path";
import fastify, { type FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Alert, EVENT_SCHEMAS } from "../events/schema.ts";
import { dashboardRoutes } from "./routes.ts";
import { FakeReadModel } from "./test-support/fake-read-model.ts";

const NOW = Date.UTC(2026, 2, 1, 12);
let model: FakeReadModel;
let server: FastifyInstance;

beforeEach(async () => {
  model = new FakeReadModel();
  server = fastify();
  await server.register(dashboardRoutes, {
    readModel: model,
    version: "1.2.3",
    hints: () => ({ mqttPort: 1883 }),
    now: () => NOW,
  });
});
afterEach(() => server.close());

async function get(path: string, query: Record<string, string> = {}) {
  const answer = await server.inject({ method: "GET", url: `/api/v1${path}`, query });
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
}

const alert = (device: string, state: Alert["state"], changed: number): Alert => ({
  alert: `warm/g/${device}/t`,
  episode: "e-1",
  rule: "warm",
  gateway: "g",
  device,
  metric: "t",
  state,
  severity: "warning",
  condition: "t above 5 for 0s",
  threshold: 5,
  value: 6.5,
  since: changed,
  changed,
  historical: false,
  message: "t is above 5",
});

test("info tells version, clock and where devices publish", async () => {
  const { body } = await get("/info");
  expect(body).toEqual({
    version: "1.2.3",
    namespace: "telemetry",
    time: NOW,
    source: { state: "following" },
    mqtt: { host: "localhost", port: 1883 },
    objects: false,
  });
});

describe("large payloads", () => {
  const page = "<script>alert(1)</script>";

  test("come as files without any right in a browser, whatever a device has sent", async () => {
    const asked: string[] = [];
    const withObjects = fastify();
    await withObjects.register(dashboardRoutes, {
      readModel: model,
      objects: async (key) => {
        asked.push(key);
        if (key === "away")
          throw Object.assign(new Error("s3.internal: no"), { name: "ObjectStoreError" });
        return key === "gw/2026-11-21/a.html" ? Buffer.from(page) : undefined;
      },
    });
    const answer = await withObjects.inject("/api/v1/objects/gw/2026-11-21/a.html");
    expect(answer.body).toBe(page);
    expect(answer.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": 'attachment; filename="a.html"',
      "content-security-policy": "default-src 'none'; sandbox",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
    });
    const odd = await withObjects.inject("/api/v1/objects/a/%22%0d%0ax: y");
    expect(odd.statusCode).toBe(404);
    expect((await withObjects.inject("/api/v1/objects/none")).statusCode).toBe(404);
    expect((await withObjects.inject("/api/v1/info")).json().objects).toBe(true);
    const away = await withObjects.inject("/api/v1/objects/away");
    expect(away.statusCode).toBe(503);
    expect(away.json().code).toBe("object_store_unavailable");
    expect(away.body).not.toContain("s3.internal");
    expect(asked).toHaveLength(4);
    await withObjects.close();
  });

  test("are not there where the server has no store", async () => {
    expect(await get("/objects/gw/2026-11-21/a.jpg")).toMatchObject({
      status: 404,
      body: { code: "not_found" },
    });
  });
});

describe("devices", () => {
  beforeEach(() => {
    for (const name of ["a", "b", "c"]) {
      model.addReading("g", name, NOW, { t: 1.5, open: true, mode: "auto" });
    }
  });

  test("come in pages that together hold each once", async () => {
    const first = await get("/devices", { limit: "2" });
    expect(first.body.total).toBe(3);
    const second = await get("/devices", { limit: "2", after: first.body.next });
    expect(second.body).not.toHaveProperty("next");
    const names = [...first.body.items, ...second.body.items].map((d) => d.device);
    expect(names).toEqual(["a", "b", "c"]);
  });

  test("keep values of every kind", async () => {
    const { body } = await get("/devices", { search: "B" });
    expect(body.items).toHaveLength(1);
    expect(body.items[0].metrics).toEqual({
      t: { value: 1.5, time: NOW },
      open: { value: true, time: NOW },
      mode: { value: "auto", time: NOW },
    });
  });

  test("one of them comes with the time from which on something is kept", async () => {
    model.addReading("g", "a", NOW - 86_400_000, { t: 2 });
    const { body } = await get("/device", { gateway: "g", device: "a" });
    expect(body.device.readings).toBe(2);
    expect(body.first).toBe(Math.floor((NOW - 86_400_000) / 3_600_000) * 3_600_000);
  });
});

describe("series", () => {
  const query = { gateway: "g", device: "a", metric: "t" };

  test("a hole is an explicit null", async () => {
    for (const second of [0, 10, 20, 60, 70])
      model.addReading("g", "a", NOW + second * 1000, { t: second });
    const { body } = await get("/series", { ...query, from: `${NOW}`, to: `${NOW + 100_000}` });
    expect(body.resolution).toBe("raw");
    expect(body.values).toEqual([0, 10, 20, null, 60, 70]);
    expect(body.times).toHaveLength(6);
  });

  test("long ranges are rollups with mean, min and max, the first window included", async () => {
    for (const minute of [0, 10, 70])
      model.addReading("g", "a", NOW + minute * 60_000, { t: minute });
    const { body } = await get("/series", {
      ...query,
      from: `${NOW + 60_000}`,
      to: `${NOW + 30 * 86_400_000}`,
    });
    expect(body).toMatchObject({
      resolution: "1h",
      truncated: false,
      times: [NOW, NOW + 3_600_000],
      values: [5, 70],
      min: [0, 70],
      max: [10, 70],
      count: [2, 1],
    });
  });

  test("a limit that cuts is told", async () => {
    for (const second of [0, 1, 2]) model.addReading("g", "a", NOW + second * 1000, { t: second });
    const range = { from: `${NOW}`, to: `${NOW + 10_000}`, resolution: "raw", limit: "2" };
    const { body } = await get("/series", { ...query, ...range });
    expect(body.truncated).toBe(true);
    expect(body.values).toEqual([0, 1]);
  });

  test("values that are no numbers are handed out as they are", async () => {
    model.addReading("g", "a", NOW, { t: "warm" });
    model.addReading("g", "a", NOW + 1000, { t: false });
    const { body } = await get("/series", { ...query, from: `${NOW}`, to: `${NOW + 5000}` });
    expect(body.values).toEqual(["warm", false]);
  });
});

describe("alerts", () => {
  test("active ones are those that did not resolve; the history has every change, newest first", async () => {
    model.addAlert(alert("a", "firing", NOW));
    model.addAlert(alert("b", "firing", NOW + 1));
    model.addAlert(alert("a", "resolved", NOW + 2));
    const active = await get("/alerts");
    expect(active.body.items.map((a: Alert) => a.device)).toEqual(["b"]);
    const history = await get("/alerts/history");
    expect(history.body.items.map((a: Alert) => a.state)).toEqual(["resolved", "firing", "firing"]);
  });

  test("one device's history is found among many others, page by page", async () => {
    for (let i = 0; i < 900; i++)
      model.addAlert(alert(i % 300 === 0 ? "rare" : "b", "firing", NOW + i));
    const first = await get("/alerts/history", { gateway: "g", device: "rare", limit: "2" });
    expect(first.body.items.map((a: Alert) => a.changed)).toEqual([NOW + 600, NOW + 300]);
    const second = await get("/alerts/history", {
      gateway: "g",
      device: "rare",
      limit: "2",
      after: first.body.next,
    });
    expect(second.body.items.map((a: Alert) => a.changed)).toEqual([NOW]);
    expect(second.body).not.toHaveProperty("next");
  });
});

describe("what goes wrong is told as a problem (RFC 9457)", () => {
  test.each([
    ["/nothing", {}, 404, "not_found"],
    ["/device", { gateway: "g", device: "never" }, 404, "not_found"],
    ["/device", { gateway: "g" }, 400, "invalid_request"],
    ["/devices", { limit: "100000" }, 400, "invalid_request"],
    [
      "/series",
      { gateway: "g", device: "a", metric: "t", from: "5", to: "5" },
      400,
      "invalid_request",
    ],
    [
      "/series",
      { gateway: "g", device: "a", metric: "t", from: "0", to: "x" },
      400,
      "invalid_request",
    ],
    [
      "/series",
      { gateway: "g", device: "a", metric: "t", from: "0", to: "1", resolution: "1d" },
      400,
      "invalid_request",
    ],
    ["/live", { kind: "gossip" }, 400, "invalid_request"],
  ])("%s %j", async (path, query, status, code) => {
    const answer = await get(path, query as Record<string, string>);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toMatch("application/problem+json");
    expect(answer.body).toMatchObject({ status, code, type: "about:blank" });
    expect(answer.body.detail).not.toBe("");
  });

  test("a fault of the read model tells nothing of its inside", async () => {
    model.fault = new Error("/var/lib/secret is gone");
    const answer = await get("/gateways");
    expect(answer.status).toBe(500);
    expect(answer.body.code).toBe("internal");
    expect(JSON.stringify(answer.body)).not.toMatch("secret");
  });
});

describe("the contract's files", () => {
  test("are listed, and served as they are published", async () => {
    const { body } = await get("/schemas");
    const names = body.items.map(({ name }: { name: string }) => name);
    expect(names).toContain("events.cddl");
    expect(names).toHaveLength(2 + 2 * Object.keys(EVENT_SCHEMAS).length);
    for (const { name, mediaType } of body.items) {
      const answer = await server.inject(`/api/v1/schemas/${name}`);
      expect(answer.statusCode).toBe(200);
      expect(answer.headers["content-type"]).toMatch(mediaType);
      expect(answer.body).toBe(
        readFileSync(join(import.meta.dirname, "../events/contract/v1", name), "utf8"),
      );
    }
  });
  test("and nothing else of the disk", async () => {
    for (const name of ["0.1.0.json", "released", "..%2Fapi.ts", "%2Fetc%2Fpasswd"]) {
      expect((await get(`/schemas/${name}`)).body).toMatchObject({
        status: 404,
        code: "not_found",
      });
    }
  });
});

test("a read model whose store is away is told as such, and when to ask again", async () => {
  model.fault = Object.assign(new Error("disk"), { name: "ReadModelError", code: "storage" });
  const answer = await get("/devices");
  expect(answer.status).toBe(503);
  expect(answer.body.code).toBe("read_model_unavailable");
  expect(answer.headers["retry-after"]).toBe("2");
});

test("every answer carries the security headers, routes of others beside it do not change", async () => {
  const shared = fastify();
  shared.get("/metrics", () => "up 1");
  await shared.register(dashboardRoutes, { readModel: model });
  for (const url of ["/api/v1/gateways", "/api/v1/nothing", "/"]) {
    const answer = await shared.inject(url);
    expect(answer.headers["content-security-policy"]).toMatch("default-src 'self'");
    expect(answer.headers["content-security-policy"]).toMatch("frame-ancestors 'none'");
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  }
  expect((await shared.inject("/metrics")).body).toBe("up 1");
  await shared.close();
});

test("an empty system answers with empty lists", async () => {
  expect((await get("/gateways")).body).toEqual({ items: [] });
  expect((await get("/devices")).body).toEqual({ items: [], total: 0 });
  expect((await get("/alerts")).body).toEqual({ items: [] });
  expect((await get("/ledger")).body).toEqual({ items: [] });
});
