/**
 * `kill -9` at random while a camera sends pictures to the real program: every one that was acknowledged is in the object store
 * as it was sent, and `tidegate payloads check` says so, and says so too where one is not.
 */
import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { noise } from "../gateway/payloads/conformance.ts";
import { sfc32 } from "../simulator/random.ts";
import { Program, run } from "./program.ts";

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const KILLS = 4;

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-payloads-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String(typeof address === "object" ? address?.port : 0);
}

/** Sends pictures one after another, each until it is acknowledged; the client sends again what a broken connection lost. */
class Camera {
  readonly acknowledged: string[] = [];
  readonly #client: MqttClient;
  readonly #random = sfc32(seed + 1);
  #isOver = false;
  readonly #sending: Promise<void>;

  constructor(client: MqttClient) {
    this.#client = client;
    this.#sending = this.#send();
  }

  async #send(): Promise<void> {
    for (let n = 1; !this.#isOver; n += 1) {
      const picture = noise(300_000 + Math.floor(this.#random() * 3_000_000), seed + n);
      await this.#client.publishAsync("sensors/cam/picture", picture, { qos: 1 });
      this.acknowledged.push(createHash("sha256").update(picture).digest("hex"));
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
    await this.#client.endAsync();
  }
}

test(`what was acknowledged is in the store (TEST_SEED=${seed})`, {
  timeout: 180_000,
}, async () => {
  const random = sfc32(seed);
  const port = await freePort();
  const where = ["--data-dir", join(directory, "data")];
  const program = new Program(["start", ...where, "--mqtt-port", port, "--http-port", "0"]);
  cleanups.push(() => program.kill());
  await program.start();
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId: "cam",
    clean: false,
    reconnectPeriod: 50,
  });
  const camera = new Camera(client);
  for (let i = 0; i < KILLS; i += 1) {
    const before = camera.acknowledged.length;
    await expect
      .poll(() => camera.acknowledged.length, { timeout: 20_000 })
      .toBeGreaterThan(before + Math.floor(random() * 4));
    await program.kill();
    await program.start();
  }
  await camera.stop();
  expect(camera.acknowledged.length).toBeGreaterThanOrEqual(KILLS);

  const check = async () => {
    const { code, stdout } = await run(["payloads", "check", ...where, "--json"]);
    return { code, report: JSON.parse(stdout) as { onTheWay: number; whole: number } };
  };
  await expect.poll(async () => (await check()).report.onTheWay, { timeout: 30_000 }).toBe(0);
  const objects = join(directory, "data", "objects");
  const names = (await readdir(objects, { recursive: true })).filter((name) => /\.bin$/.test(name));
  const files = await Promise.all(names.map((name) => readFile(join(objects, name))));
  const stored = new Set(files.map((file) => createHash("sha256").update(file).digest("hex")));
  expect(camera.acknowledged.filter((sha256) => !stored.has(sha256))).toEqual([]);
  const found = await check();
  expect(found).toMatchObject({
    code: 0,
    report: { whole: names.length, missing: [], changed: [] },
  });
  expect(await readdir(join(directory, "data", "payloads"))).toEqual([]);

  const [victim = ""] = names.sort().slice(1);
  await writeFile(join(objects, victim), "something else");
  expect(await check()).toMatchObject({ code: 1, report: { changed: [victim], missing: [] } });
});
