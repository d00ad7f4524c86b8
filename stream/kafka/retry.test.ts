import { pino } from "pino";
import { describe, expect, test } from "vitest";
import type { EventLogError } from "../port.ts";
import { createErrorFromCode } from "./kafkajs-internals.ts";
import { KAFKA_LIMITS, type KafkaSettings, settle } from "./options.ts";
import { Outage, Patience, pauseMs, withDeadline } from "./retry.ts";

function settings(over: Partial<Parameters<typeof settle>[0]> = {}): {
  settings: KafkaSettings;
  lines: { level: number; msg: string }[];
} {
  const lines: { level: number; msg: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const logger = pino({ level: "info" }, { write });
  const limits = { firstPauseMs: 1, longestPauseMs: 2, callDeadlineMs: 40, unknownTopicMs: 5 };
  return {
    settings: settle({ brokers: ["x:1"], clientId: "c", logger, limits, ...over }),
    lines,
  };
}

const UNKNOWN_TOPIC = 3;
const NOT_AUTHORIZED = 29;
const NOT_LEADER = 6;
const running = new AbortController().signal;

describe("trying again", () => {
  test("pauses grow to the longest and are spread over half of it", () => {
    const low = settings({ limits: {}, random: () => 0 }).settings;
    const high = settings({ limits: {}, random: () => 1 }).settings;
    const { firstPauseMs, longestPauseMs } = KAFKA_LIMITS;
    expect(pauseMs(low, 1)).toBe(firstPauseMs / 2);
    expect(pauseMs(high, 1)).toBe(firstPauseMs);
    expect(pauseMs(low, 500)).toBe(longestPauseMs / 2);
    expect(pauseMs(high, 500)).toBe(longestPauseMs);
  });

  test("a call gets over what passes", async () => {
    let tries = 0;
    const got = await withDeadline(settings().settings, "x", running, async () => {
      if (++tries < 4) throw createErrorFromCode(NOT_LEADER);
      return "there";
    });
    expect([got, tries]).toEqual(["there", 4]);
  });

  test("a call is told at once what will not pass, and in time what does not", async () => {
    const failing = (code: number, limits = {}) => {
      let tries = 0;
      const { settings: given } = settings();
      const own = { ...given, limits: { ...given.limits, ...limits } };
      return withDeadline(own, "x", running, async () => {
        tries++;
        throw createErrorFromCode(code);
      }).catch((error: EventLogError) => ({ code: error.code, tries }));
    };
    expect(await failing(NOT_AUTHORIZED)).toEqual({ code: "not_authorized", tries: 1 });
    expect(await failing(UNKNOWN_TOPIC)).toMatchObject({ code: "unknown_topic" });
    const late = (await failing(NOT_LEADER)) as { code: string; tries: number };
    expect(late.code).toBe("unreachable");
    expect(late.tries).toBeGreaterThan(2);
  });

  test("a call that is closed meanwhile says so", async () => {
    const patience = new Patience(settings().settings, "x", AbortSignal.abort());
    await expect(patience.again(new Error("any"))).rejects.toMatchObject({ code: "closed" });
  });

  test("an outage is one line when it begins and one when it is over", async () => {
    let now = 0;
    const { settings: given, lines } = settings({ now: () => now });
    const outage = new Outage(given, "sending");
    for (let i = 0; i < 20; i++) {
      await outage.pause(createErrorFromCode(NOT_LEADER), running);
      now += 100;
    }
    expect(outage.lastError).toContain("NOT_LEADER");
    outage.over();
    outage.over();
    expect(outage.lastError).toBeUndefined();
    expect(lines.map((one) => one.level)).toEqual([40, 30]);
    expect(lines[0]?.msg).toContain("sending waits for Kafka");
    // What the next try gets over is worth no line.
    await outage.pause(createErrorFromCode(NOT_LEADER), running);
    outage.over();
    expect(lines).toHaveLength(2);
  });
});
