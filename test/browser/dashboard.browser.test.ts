/** A real Chromium on the real program: what is published over MQTT shows on the open page, and its alert. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Program } from "../program.ts";
import { launchChromium, SLACK } from "./chromium.ts";

const directory = mkdtempSync(join(tmpdir(), "tidegate-browser-"));
const rules = join(directory, "rules.yaml");
writeFileSync(
  rules,
  "rules:\n  - name: freezer-warm\n    when: temperature above -15 for 0s\n    severity: critical\n",
);
const program = new Program([
  ...["start", "--data-dir", join(directory, "data"), "--rules", rules],
  ...["--mqtt-port", "0", "--http-port", "0"],
]);
let browser: Browser;

beforeAll(async () => {
  [browser] = await Promise.all([launchChromium(), program.start()]);
});
afterAll(async () => {
  await browser?.close();
  await program.kill();
  await rm(directory, { recursive: true });
});

describe("dashboard of the running program", () => {
  test("an empty page says what to type, and what is typed then shows within a second, its alert too", async () => {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    await page.goto(program.address("Dashboard").href);
    const hint = page.getByText("mosquitto_pub", { exact: false }).first();
    await hint.waitFor();
    expect(await hint.textContent()).toContain(String(program.mqttPort));

    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${program.mqttPort}`);
    await device.publishAsync("sensors/freezer-1", '{"temperature": -12.5}', { qos: 1 });
    const acknowledged = performance.now();
    await Promise.all([
      page.getByText("freezer-1").first().waitFor(),
      page.getByText("-12.5").first().waitFor(),
      page.getByText("freezer-warm").first().waitFor(),
    ]);
    expect(performance.now() - acknowledged).toBeLessThan(1000 * SLACK);

    await device.publishAsync("sensors/freezer-1", '{"temperature": -21.25}', { qos: 1 });
    await page.getByText("-21.25").first().waitFor();
    await page.getByText("Resolved", { exact: true }).first().waitFor();
    await device.endAsync();
    expect(errors).toEqual([]);
  });

  test("the page of a device has its chart, which grows with what arrives", async () => {
    const page = await browser.newPage();
    const gateway = /Gateway\s+(\S+)/.exec(program.stdout)?.[1];
    await page.goto(`${program.address("Dashboard").href}#/devices/${gateway}/freezer-1?range=15m`);
    await page.locator("canvas").first().waitFor();
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${program.mqttPort}`);
    await device.publishAsync("sensors/freezer-1", '{"temperature": -30.75}', { qos: 1 });
    await page.getByText("-30.75").first().waitFor();
    await device.endAsync();
  });
});
