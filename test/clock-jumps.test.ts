/**
 * The real program under a wall clock that jumps while messages come in: set from 1970, ten years ahead and back, three
 * years back and home again, back over midnight, over a restart. libfaketime plays the clock; the boot clock is the
 * machine's own. Everything arrives once, in order and with the time at which it came.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { afterEach, expect, test } from "vitest";
import { compareRollups, expectedRollups } from "../simulator/oracle.ts";
import { missingCommand } from "./debian.ts";
import { Program } from "./program.ts";
import { auditOf, readingsOf, recordsOf, rollupsOf } from "./verify.ts";

const skipped = await missingCommand("faketime", "faketime");
if (skipped) process.stderr.write(`skipped: jumps of the clock, because ${skipped}\n`);

const HOUR = 3_600_000;
const READINGS = 20;
/** Longer than this machine has been up: nothing that waits for its time goes without. */
const WAIT_MS = 1e12;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The library that Debian's `faketime` command preloads. */
async function faketimeLibrary(): Promise<string> {
  const { stdout } = await promisify(execFile)("dpkg", ["-L", "libfaketime"]);
  const found = stdout.split("\n").find((file) => file.endsWith("/libfaketimeMT.so.1"));
  if (!found) throw new Error("the package libfaketime has no libfaketimeMT.so.1");
  return found;
}

interface Sent {
  readonly value: number;
  /** By the clock of this test. */
  readonly at: number;
  /** What the machine's clock was off then that counts as right, ms. */
  readonly off: number;
  readonly clock: string;
}

/** The program under a clock that the test sets by offsets: `+0`, `-3y`, `+90`. */
async function faked(name: string, waitMs: number) {
  const directory = mkdtempSync(join(tmpdir(), `tidegate-${name}-`));
  cleanups.push(() => rm(directory, { recursive: true }));
  const rc = join(directory, "faketimerc");
  const jump = (offset: string) => {
    // Whole or not at all: the program reads it at every look at its clock.
    writeFileSync(`${rc}.new`, `${offset}\n`);
    renameSync(`${rc}.new`, rc);
  };
  const where = ["--data-dir", join(directory, "data")];
  const env = {
    LD_PRELOAD: await faketimeLibrary(),
    FAKETIME_TIMESTAMP_FILE: rc,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
    TIDEGATE_CLOCK_WAIT_MS: String(waitMs),
    TIDEGATE_CLOCK_MARK_FILE: join(directory, "no-time-service", "synchronized"),
  };
  const args = ["start", ...where, "--mqtt-port", "0", "--http-port", "0"];
  const program = new Program(args, { env });
  cleanups.push(() => program.kill());

  const sent: Sent[] = [];
  const connected = async () => {
    const url = `mqtt://127.0.0.1:${program.mqttPort}`;
    const client = await mqtt.connectAsync(url, { keepalive: 5, reconnectPeriod: 0 });
    cleanups.push(() => client.endAsync(true));
    return client;
  };
  const publish = async (client: mqtt.MqttClient, clock: string, off = 0) => {
    for (let i = 0; i < READINGS; i += 1) {
      const value = sent.length;
      sent.push({ value, at: Date.now(), off, clock });
      await client.publishAsync("sensors/d", JSON.stringify({ value }), { qos: 1 });
    }
  };
  const arrived = async (count: number) => {
    const values = async () => (await readingsOf(where)).length;
    await expect.poll(values, { timeout: 20_000 }).toBe(count);
  };
  return { program, where, jump, sent, connected, publish, arrived };
}

/** The clock of a board without a battery: the seconds since 1970 are few. */
const unset = () => `-${Math.round(Date.now() / 1000)}`;

async function readingsAsSent(where: readonly string[]) {
  return (await recordsOf("events", where))
    .filter((record) => record.type === "tidegate.reading")
    .map((record) => record.data as { metrics: object; received: number; clock: string });
}

async function expectComplete(where: readonly string[]): Promise<void> {
  const { code, report } = await auditOf(where);
  expect({ code, verdict: report.verdict }).toEqual({ code: 0, verdict: "complete" });
  const wanted = expectedRollups(await readingsOf(where));
  const differences = async () => compareRollups(wanted, await rollupsOf(where));
  await expect.poll(differences, { timeout: 20_000 }).toEqual([]);
}

test.skipIf(skipped)(
  "a clock that jumps loses, doubles and reorders nothing",
  { timeout: 120_000 },
  async () => {
    const faking = await faked("jumps", WAIT_MS);
    const { program, where, jump, sent, connected, publish, arrived } = faking;

    jump(unset());
    await program.start();
    const client = await connected();
    await publish(client, "restamped");
    expect(await readingsOf(where)).toEqual([]);
    jump("+0");
    await publish(client, "synced");
    await arrived(2 * READINGS);

    jump("+10y");
    await publish(client, "restamped");
    expect(await readingsOf(where)).toHaveLength(2 * READINGS);
    jump("+0");
    await publish(client, "synced");
    await arrived(4 * READINGS);

    // Nothing waits: what the time is, is known.
    jump("-3y");
    await publish(client, "restamped");
    await arrived(5 * READINGS);
    jump("+0");
    await publish(client, "synced");

    const overMidnight = -(13 * HOUR);
    jump("-13h");
    await publish(client, "synced", overMidnight);
    await arrived(7 * READINGS);
    await client.endAsync();
    expect(await program.stop()).toBe(0);
    await program.start();
    const again = await connected();
    await publish(again, "synced", overMidnight);
    await arrived(8 * READINGS);

    const readings = await readingsAsSent(where);
    expect(readings.map(({ metrics }) => metrics)).toEqual(sent.map(({ value }) => ({ value })));
    const clocks = (list: readonly { clock: string }[]) => list.map(({ clock }) => clock);
    // What was on its way to the log while the clock was corrected may have been put right, too: the same time either way.
    const exact = [...readings.keys()].filter((i) => Math.floor(i / READINGS) !== 5);
    expect(clocks(exact.map((i) => readings[i] as { clock: string }))).toEqual(
      clocks(exact.map((i) => sent[i] as Sent)),
    );
    for (const [i, { received, clock }] of readings.entries()) {
      const { at, off } = sent[i] as Sent;
      const corrected = clock === "restamped" && Math.floor(i / READINGS) === 5;
      expect(Math.abs(received - at - (corrected ? overMidnight : off))).toBeLessThan(10_000);
    }

    await expectComplete(where);
  },
);

test.skipIf(skipped)(
  "what was sent before the time was known is counted once it is",
  { timeout: 120_000 },
  async () => {
    const { program, where, jump, sent, connected, publish, arrived } = await faked("unset", 0);
    jump(unset());
    await program.start();
    const client = await connected();
    await publish(client, "unsynced");
    await arrived(READINGS);
    const gateways = new URL("/api/v1/gateways", program.address("Dashboard"));
    const clock = async () => {
      const { items } = (await (await fetch(gateways)).json()) as {
        items: readonly { status?: { clock?: object } }[];
      };
      return items[0]?.status?.clock;
    };
    await expect.poll(clock, { timeout: 20_000 }).toEqual({ synced: false });
    expect(await rollupsOf(where)).toEqual([]);
    await client.endAsync();
    await program.kill();
    await program.start();
    const again = await connected();
    await publish(again, "unsynced");
    await arrived(2 * READINGS);
    jump("+0");
    await publish(again, "synced");
    await arrived(3 * READINGS);
    const readings = await readingsAsSent(where);
    expect(readings.map(({ metrics }) => metrics)).toEqual(sent.map(({ value }) => ({ value })));
    expect(readings.map((one) => one.clock)).toEqual(sent.map((one) => one.clock));
    for (const [i, { time }] of (await readingsOf(where)).entries()) {
      expect(Math.abs(time - (sent[i] as Sent).at)).toBeLessThan(10_000);
    }
    await expectComplete(where);
  },
);
