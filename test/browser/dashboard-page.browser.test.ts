/** The dashboard's page in a real Chromium, over a read model that says exactly what the test says. */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { builtPageDirectory } from "../../dashboard/page.ts";
import { FakeReadModel } from "../../dashboard/test-support/fake-read-model.ts";
import { fillPlant, stepPlant } from "../../dashboard/test-support/plant.ts";
import {
  createDashboardServer,
  type DashboardServer,
} from "../../dashboard/test-support/server.ts";
import type { BufferStatus } from "../../events/schema.ts";
import { launchChromium, SLACK } from "./chromium.ts";

const root = join(import.meta.dirname, "..", "..");
let browser: Browser;
let context: BrowserContext;
let page: Page;
let model: FakeReadModel;
let server: DashboardServer;
let faults: string[];

beforeAll(async () => {
  if (!existsSync(join(builtPageDirectory(), "index.html"))) {
    const vite = join(root, "node_modules", "vite", "bin", "vite.js");
    const config = join(root, "dashboard", "web", "vite.config.ts");
    const built = spawnSync(process.execPath, [vite, "build", "--config", config], { cwd: root });
    if (built.status !== 0) throw new Error(`the page does not build: ${built.stderr}`);
  }
  browser = await launchChromium();
});
afterAll(() => browser?.close());

beforeEach(async () => {
  model = new FakeReadModel();
  await serve(0);
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  page = await context.newPage();
  faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A server that was stopped, or a device that nobody heard: tests ask for both, and the browser says so.
    const isExpected = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isExpected) faults.push(message.text());
  });
});
afterEach(async () => {
  await context.close();
  await server.stop();
  expect(faults).toEqual([]);
});

async function serve(port: number): Promise<void> {
  server = createDashboardServer({
    readModel: model,
    port,
    version: "9.8.7",
    hints: { mqttPort: 2883 },
  });
  await server.start();
}
const open = (hash = "") => page.goto(`${server.address?.url}${hash}`);
const summary = () => page.locator(".summary");

async function violations(): Promise<string[]> {
  const found = await new AxeBuilder({ page }).analyze();
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.html).join(" | ")}`);
}

test("an empty system says what to type, and the first reading needs no reload", async () => {
  await open();
  await expect.poll(() => summary().textContent()).toContain("Nothing has reached Tidegate yet");
  expect(await page.locator(".command").textContent()).toBe(
    `mosquitto_pub -p 2883 -q 1 -t sensors/freezer-1 -m '{"temperature": -12.5}'`,
  );
  const before = performance.now();
  model.addReading("gw-1", "freezer-1", Date.now(), { temperature: -12.5 });
  await page.locator(".device", { hasText: "freezer-1" }).waitFor();
  expect(performance.now() - before).toBeLessThan(1000 * SLACK);
  expect(await page.locator(".device .value").first().textContent()).toBe("temperature-12.5");
  expect(await page.locator(".command").count()).toBe(0);
});

test("what changes shows within a second: a value, an alert, a gateway, the ledger", async () => {
  const now = Date.now();
  fillPlant(model, now, 1);
  await open();
  const row = page.locator(".device", { hasText: "cold-room" });
  await row.waitFor();
  const before = performance.now();
  model.addReading("harbour", "cold-room", now + 1, { temperature: 4.75 });
  const [last] = model.history;
  if (!last) throw new Error("the plant has alerts");
  model.addAlert({ ...last, alert: "new", device: "cold-room", state: "firing", value: 77.125 });
  await row.getByText("4.75").waitFor();
  await page.locator(".alert-firing", { hasText: "77.13" }).waitFor();
  await expect.poll(() => summary().textContent()).toContain("2 alerts are firing");
  expect(performance.now() - before).toBeLessThan(1000 * SLACK);
});

test("two gateways under one id are told at once, a copy names its original, and the page stays usable", async () => {
  fillPlant(model, Date.now(), 1);
  const harbour = model.gatewayViews.get("harbour");
  if (!harbour?.status) throw new Error("the plant has a gateway with a status");
  await open();
  await page.locator(".gateway", { hasText: "harbour" }).first().waitFor();
  expect(await page.locator(".identity").count()).toBe(0);
  const speaker = { epoch: "q78yxy2wj1", started: 1, accepted: 1, version: "1" };
  const other = { ...speaker, epoch: "nzmywvqa79", hardware: "j3npgvw1vt" };
  const copy = "harbour-x4k2m";
  const status = { ...harbour.status, gateway: copy, copy_of: "harbour" };
  model.setGateway({ ...harbour, sharedBy: [speaker, other] });
  model.setGateway({ ...harbour, gateway: copy, status });
  await page.getByText("Two gateways use this id").waitFor();
  await expect.poll(() => summary().textContent()).toContain("two gateways use the id harbour");
  const card = page.locator(".gateway", { hasText: "it may be a copy of" });
  expect(await card.locator("h3").textContent()).toBe(copy);
  expect(await violations()).toEqual([]);
  // From the copy to its original's devices.
  await card.getByRole("link", { name: "harbour" }).click();
  await page.locator(".device", { hasText: "freezer-1" }).waitFor();
  await page.locator(".device", { hasText: "meeting-room" }).first().waitFor({ state: "detached" });
  model.setGateway(harbour);
  await page.getByText("Two gateways use this id").waitFor({ state: "detached" });
});

test("a dead server is told within 5 s, and the page heals by itself with what it missed", async () => {
  fillPlant(model, Date.now(), 1);
  const harbour = model.gatewayViews.get("harbour");
  if (!harbour?.status) throw new Error("the plant has a gateway with a status");
  model.gatewayViews.clear();
  model.history.length = 0;
  model.setGateway({ ...harbour, status: { ...harbour.status, time: Date.now(), interval: 1000 } });
  await open();
  await page.locator(".device").first().waitFor();
  expect(await page.locator(".dead").count()).toBe(0);
  const port = server.address?.port ?? 0;
  const before = performance.now();
  await server.stop();
  await page.locator(".dead").waitFor({ timeout: 5000 * SLACK });
  expect(performance.now() - before).toBeLessThan(5000 * SLACK);
  expect(await page.locator(".dead").textContent()).toMatch(/No data since \d\d:\d\d:\d\d\./);
  expect(await violations()).toEqual([]);
  // Silence of the page's own server says nothing of the gateways.
  await page.locator("footer", { hasText: "silent for 8 s" }).waitFor();
  expect(await summary().textContent()).toMatch(
    /^As of \d\d:\d\d:\d\d: every acknowledged reading had arrived\.$/,
  );
  model.addReading("gw-1", "freezer-2", Date.now(), { temperature: -99.75 });
  await serve(port);
  await page.locator(".dead").waitFor({ state: "detached", timeout: 10_000 * SLACK });
  await page.locator(".device", { hasText: "-99.75" }).waitFor();
});

test("a log that does not answer: everything is as of then, nothing is called well, and it heals", async () => {
  fillPlant(model, Date.now(), 1);
  const harbour = model.gatewayViews.get("harbour");
  if (!harbour?.status) throw new Error("the plant has a gateway with a status");
  model.gatewayViews.clear();
  model.history.length = 0;
  const since = Date.now();
  const status = { ...harbour.status, time: since - 500, interval: 1000 };
  model.setGateway({ ...harbour, status });
  await open();
  await page.locator(".live", { hasText: "Live" }).waitFor();
  await page.getByText("All is well").waitFor();
  model.log = { state: "waiting", since, lastError: "connect ECONNREFUSED" };
  const away = page.locator(".dead");
  await away.waitFor({ timeout: 1500 * SLACK });
  expect(await away.textContent()).toMatch(/^The event log does not answer since \d\d:\d\d:\d\d;/);
  expect(await page.locator(".live").textContent()).toContain("Event log away");
  const gateway = page.locator(".gateway");
  // Long after the gateway's next word was due.
  await page
    .locator("footer", { hasText: /silent for 1\d s/ })
    .waitFor({ timeout: 15_000 * SLACK });
  expect(await gateway.locator(".badge").textContent()).toBe("Unknown");
  expect(await gateway.textContent()).toMatch(/online as of \d\d:\d\d:\d\d/);
  expect(await gateway.textContent()).toMatch(/No backlog at \d\d:\d\d:\d\d/);
  expect(await page.locator("main .tone-ok .icon-ok:visible").count()).toBe(
    await page.locator(".device .icon-ok").count(),
  );
  const text = await page.locator("main").textContent();
  expect(text).not.toMatch(/All is well|has arrived|Offline/);
  expect(text).toMatch(/had arrived, as far as was known then/);
  expect(await violations()).toEqual([]);
  // A page that is opened meanwhile is told as well.
  await page.reload();
  await away.waitFor();
  model.log = { state: "following" };
  await away.waitFor({ state: "detached", timeout: 1500 * SLACK });
  model.setGateway({ ...harbour, status: { ...status, time: Date.now() } });
  await page.getByText("All is well: every acknowledged reading has arrived.").waitFor();
  await gateway.getByText("Online").waitFor();
}, 30_000);

test("a server that hangs is as dead as one that is gone", async () => {
  model.addReading("gw-1", "freezer-1", Date.now(), { temperature: -12.5 });
  // The socket stays open and says nothing: only the silence tells.
  await page.route("**/api/v1/live*", () => new Promise(() => {}));
  await open();
  await page.locator(".dead").waitFor({ timeout: 5000 * SLACK });
  await page.unroute("**/api/v1/live*");
  await page
    .locator(".device")
    .first()
    .waitFor({ timeout: 10_000 * SLACK });
  expect(await page.locator(".dead").count()).toBe(0);
});

test("an alert says what was when it fired and what is now; resolved, neither pretends to hold", async () => {
  const now = Date.now();
  fillPlant(model, now, 1);
  const [first] = model.history;
  if (!first) throw new Error("the plant has alerts");
  model.history.length = 0;
  const base = { ...first, device: "cold-room", alert: "w", since: now - 40_000, value: -12.08 };
  const firing = { ...base, state: "firing", changed: now - 10_000, message: "it thaws" } as const;
  const card = page.locator(".alert", { hasText: "cold-room" });
  model.addAlert(firing, { silent: true });
  await open();
  // The fill's last reading of the cold room is of `now`.
  await card.getByText("was -12.08 when it fired, now").waitFor();
  model.addReading("harbour", "cold-room", now + 1, { temperature: -10.12 });
  await card.locator("strong", { hasText: "-10.12" }).waitFor();
  const fired = (await card.locator(".alert-since").textContent())?.match(/\d\d:\d\d:\d\d/)?.[0];
  const ended = { ...base, state: "resolved", value: -19.01, changed: now + 2 } as const;
  const message = "cold-room: temperature is -19.01, no longer above -15";
  model.addAlert({ ...ended, fired: true, message });
  const resolved = page.getByRole("region", { name: "Just resolved" });
  await resolved.getByText(message).waitFor();
  expect(await resolved.locator(".alert-what").textContent()).toMatch(
    /temperature -19.01 · no longer above -15/,
  );
  const current = page.getByRole("region", { name: "Alerts now" });
  expect(await current.textContent()).toMatch(/^Alerts nowHistoryNo alert is pending or firing\.$/);
  // One that only was pending is no card, and no resolved one in the history.
  model.addAlert({ ...base, alert: "x", episode: "e2", state: "pending", changed: now + 3 });
  await current.getByText("-12.08 when it began").waitFor();
  model.addAlert({ ...ended, alert: "x", episode: "e2", fired: false, changed: now + 4 });
  await current.getByText("No alert is pending or firing.").waitFor();
  expect(await resolved.locator(".alert").count()).toBe(1);
  await open("#/alerts");
  const rows = page.locator(".timeline li");
  await rows.first().waitFor();
  expect(await rows.locator(".badge").allTextContents()).toEqual([
    "Did not fire",
    "Criticalpending",
    "Resolved",
    "Criticalfiring",
  ]);
  expect(await rows.last().locator(".timeline-clock").textContent()).toBe(fired);
  await open("#/devices/harbour/cold-room");
  await page.locator(".timeline .badge", { hasText: "Did not fire" }).waitFor();
});

test("payloads that could not be decoded are counted on the gateway's card, if there are any", async () => {
  fillPlant(model, Date.now(), 1);
  await open();
  const rejected = page.locator(".gateway .rejected");
  await rejected.getByText("3 payloads could not be decoded since start").waitFor();
  expect(await rejected.count()).toBe(1);
  expect(await rejected.locator("code").textContent()).toBe("npx tidegate tail events");
});

test("a buffer that is nearly full, full or being recovered is told in words, live", async () => {
  const now = Date.now();
  fillPlant(model, now, 1);
  const harbour = model.gatewayViews.get("harbour");
  if (!harbour?.status) throw new Error("the plant has a gateway with a status");
  const status = { ...harbour.status, buffered_bytes: 223_000_000, hours_left: 5 };
  const buffer = {
    state: "open",
    policy: "drop-oldest",
    near_full: true,
    waiting: 1_204_000,
    floor_bytes: 134_217_728,
    free_bytes: 9_000_000_000,
    lost: { full: 0, damage: 0 },
    recoveries: 0,
  } as const;
  const tell = (change: Partial<BufferStatus>) =>
    model.setGateway({
      ...harbour,
      status: { ...status, time: Date.now(), buffer: { ...buffer, ...change } },
    });
  tell({});
  await open();
  const word = page.locator(".gateway", { hasText: "harbour" }).locator(".buffer");
  await word.getByText("Buffer 83 % full, about 5 h left").waitFor();
  expect(await word.locator(".icon-warning").count()).toBe(1);
  expect(await summary().textContent()).toContain("the buffer of gateway harbour is nearly full");
  expect(await page.getByText("Backlog 1,204,000 events").count()).toBe(1);

  tell({ state: "full", lost: { full: 1204, damage: 0 } });
  await word.getByText("Buffer full: the oldest readings give way (1,204 declared lost)").waitFor();
  expect(await word.locator(".icon-critical").count()).toBe(1);
  await expect
    .poll(() => summary().textContent())
    .toContain("the buffer of gateway harbour is full");
  expect(await violations()).toEqual([]);

  tell({ state: "recovering", trouble: "No space left on device" });
  await word.getByText("nothing is acknowledged (No space left on device)").waitFor();
  await expect.poll(() => summary().textContent()).toContain("harbour is acknowledging nothing");

  tell({ near_full: false });
  await expect.poll(() => word.count()).toBe(0);
});

test("on a phone neither a condition nor a gateway's id is broken in the middle", async () => {
  const now = Date.now();
  fillPlant(model, now, 1);
  for (const alert of [...model.history]) {
    model.addAlert(
      { ...alert, gateway: "gw-4k7t9m2x", alert: `${alert.alert}2` },
      { silent: true },
    );
  }
  await page.setViewportSize({ width: 390, height: 800 });
  for (const hash of ["#/", "#/alerts"]) {
    await open(hash);
    await page.locator(".token").first().waitFor();
    const broken = await page.evaluate(`[...document.querySelectorAll(".token")].filter((one) => {
      const lines = one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).fontSize);
      return lines > 2 || one.scrollWidth > one.clientWidth;
    }).map((one) => one.textContent)`);
    expect(broken).toEqual([]);
  }
});

describe("a device", () => {
  test("has a chart that grows live, values of every kind, and its alerts", async () => {
    const now = Date.now();
    fillPlant(model, now, 2);
    await open("#/devices/harbour/pump-3?range=15m");
    const chart = page.locator(".chart", { hasText: "pressure_bar" });
    await chart.locator("canvas").waitFor();
    expect(await page.locator(".chart").count()).toBe(3);
    expect(await page.locator(".tile", { hasText: "state" }).textContent()).toMatch(
      /running|standby/,
    );
    model.addReading("harbour", "pump-3", Date.now(), { pressure_bar: 9.875, state: "tripped" });
    await chart.locator(".readout", { hasText: "9.88" }).waitFor();
    expect(await chart.locator(".plot").getAttribute("aria-label")).toContain("highest 9.88");
    await page.locator(".tile", { hasText: "tripped" }).waitFor();
  });

  test("range, zone and Back are in the address", async () => {
    fillPlant(model, Date.now(), 30);
    await open("#/devices/harbour/freezer-1");
    await page.getByRole("button", { name: "24 h" }).click();
    await expect.poll(() => page.url()).toContain("range=24h");
    await page.getByRole("button", { name: "Zoom in" }).click();
    await expect.poll(() => page.url()).toMatch(/range=\d+\.\.\d+/);
    await page.goBack();
    const day = page.getByRole("button", { name: "24 h" });
    await expect.poll(() => day.getAttribute("aria-pressed")).toBe("true");
    expect(await page.locator(".chart").textContent()).toContain("mean of each minute");
  });

  test("whose data are years old is found without searching", async () => {
    const start = Date.UTC(2015, 1, 2);
    for (let minute = 0; minute < 600; minute++) {
      model.addReading("gw-1", "office", start + minute * 60_000, { co2: 400 + minute });
    }
    await open("#/devices/gw-1/office");
    const readout = page.locator(".chart .readout");
    await readout.getByText("highest 999").waitFor();
    const all = page.getByRole("button", { name: "All data" }).first();
    expect(await all.getAttribute("aria-pressed")).toBe("true");
    await page.getByRole("button", { name: "1 h", exact: true }).click();
    await page.locator(".notice").getByText("No readings in this range").waitFor();
    await page.locator(".notice button").click();
    await readout.getByText("highest 999").waitFor();
  });
});

test("a fleet larger than a page: searched on the server, and what is shown stays live", async () => {
  const now = Date.now();
  for (let i = 0; i < 400; i++) {
    model.addReading("gw-1", `d-${String(i).padStart(4, "0")}`, now, { t: i }, { silent: true });
  }
  await open();
  await page.getByText("Devices (400)").waitFor();
  expect(await page.locator(".device").count()).toBe(50);
  model.addReading("gw-1", "d-0007", now + 1, { t: 7.125 });
  await page.locator(".device", { hasText: "7.13" }).waitFor();
  await page.getByRole("button", { name: /Show more/ }).click();
  await expect.poll(() => page.locator(".device").count()).toBe(100);
  await page.getByRole("searchbox").fill("d-0399");
  await expect.poll(() => page.locator(".device").count()).toBe(1);
  expect(page.url()).toContain("q=d-0399");
  model.addReading("gw-1", "d-0399", now + 2, { t: 0.625 });
  await page.locator(".device", { hasText: "0.625" }).waitFor();
});

test("ages are told by the server's clock, not by a browser's that is wrong", async () => {
  await page.clock.install({ time: Date.now() - 5 * 3_600_000 });
  model.addReading("gw-1", "freezer-1", Date.now() - 30_000, { temperature: -12.5 });
  await open();
  const age = page.locator(".device .age");
  await age.waitFor();
  expect(await age.textContent()).toMatch(/^3\d s ago$/);
});

test("nothing is asked of any other origin", async () => {
  const origins = new Set<string>();
  page.on("request", (request) => origins.add(new URL(request.url()).origin));
  fillPlant(model, Date.now(), 1);
  await open("#/devices/harbour/pump-3");
  await page.locator("canvas").first().waitFor();
  await open("#/alerts");
  await page.getByText("History").first().waitFor();
  expect([...origins]).toEqual([new URL(server.address?.url ?? "").origin]);
});

describe("for everybody", () => {
  test.each([
    { colorScheme: "light", width: 360 },
    { colorScheme: "dark", width: 360 },
    { colorScheme: "light", width: 1600 },
    { colorScheme: "dark", width: 1600 },
  ] as const)("axe finds nothing and nothing is cut off: %j", async ({ colorScheme, width }) => {
    fillPlant(model, Date.now(), 2);
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    for (const hash of ["#/", "#/alerts", "#/devices/harbour/freezer-1", "#/devices/x/never"]) {
      await open(hash);
      await page.locator(".live-live").waitFor();
      await page.locator(".alert, .chart, .empty .command").first().waitFor();
      stepPlant(model, Date.now());
      expect(await violations()).toEqual([]);
      const over = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      expect(over).toBeLessThanOrEqual(0);
    }
  });

  test("forced colours: nothing disappears, axe finds nothing", async () => {
    fillPlant(model, Date.now(), 1);
    await page.emulateMedia({ forcedColors: "active" });
    await open("#/devices/harbour/freezer-1");
    await page.locator(".chart canvas").waitFor();
    expect(await violations()).toEqual([]);
    const border = await page.evaluate(
      "getComputedStyle(document.querySelector('.tile')).borderTopStyle",
    );
    expect(border).toBe("solid");
  });

  test("the keyboard reaches the content and the devices", async () => {
    fillPlant(model, Date.now(), 1);
    await open();
    await page.locator(".device").first().waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.locator(".device a").first().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "cold-room" }).waitFor();
  });
});
