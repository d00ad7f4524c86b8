import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import type { EventLogError } from "../port.ts";
import { ConnectionFault } from "./connection-fault.ts";
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
  const limits = {
    firstPauseMs: 1,
    longestPauseMs: 2,
    refusedPauseMs: 2,
    callDeadlineMs: 40,
    unknownTopicMs: 5,
  };
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

  test("pauses are longer where a person has to mend it", () => {
    const high = settings({ limits: {}, random: () => 1 }).settings;
    const { refusedPauseMs, longestPauseMs } = KAFKA_LIMITS;
    expect(pauseMs(high, 1, true)).toBe(refusedPauseMs / 16);
    expect(pauseMs(high, 500, true)).toBe(refusedPauseMs);
    expect(refusedPauseMs).toBeGreaterThan(longestPauseMs);
  });

  test("who is refused knocks rarely, and a call that is refused does not knock again", async () => {
    const limits = { firstPauseMs: 1, longestPauseMs: 2, refusedPauseMs: 16_000 };
    const { settings: given } = settings({ limits, random: () => 0 });
    for (const code of ["not_authorized", "tls"] as const) {
      const refused = new ConnectionFault(code, "no");
      vi.useFakeTimers();
      try {
        const outage = new Outage(given, "sending");
        let over = false;
        const paused = outage.pause(refused, running).then(() => {
          over = true;
        });
        await vi.advanceTimersByTimeAsync(499);
        expect(over).toBe(false);
        await vi.advanceTimersByTimeAsync(1);
        await paused;
      } finally {
        vi.useRealTimers();
      }
      let tries = 0;
      const call = withDeadline(given, "x", running, async () => {
        tries++;
        throw refused;
      });
      await expect(call).rejects.toMatchObject({ code });
      expect(tries).toBe(1);
    }
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
    expect(lines[0]?.msg).toMatch(/^waiting for Kafka: .*goes on by itself/);
    // What the next try gets over is worth no line.
    await outage.pause(createErrorFromCode(NOT_LEADER), running);
    outage.over();
    expect(lines).toHaveLength(2);
  });

  test("an outage is told though somebody sets the clock back meanwhile", async () => {
    let moment = 0;
    const year = 365 * 86_400_000;
    const now = () => Date.UTC(2026, 10, 21) - moment * year;
    const { settings: given, lines } = settings({ now, moment: () => moment });
    const outage = new Outage(given, "sending");
    for (; moment <= 2000; moment += 100) {
      await outage.pause(createErrorFromCode(NOT_LEADER), running);
    }
    outage.over();
    expect(lines.map((one) => one.level)).toEqual([40, 30]);
    expect(lines[1]).toMatchObject({ seconds: 2 });
  });

  test("an outage that many meet is one line, and over when the last of them has got over it", async () => {
    let now = 0;
    const { settings: given, lines } = settings({ now: () => now });
    const outages = Array.from({ length: 16 }, (_, i) => new Outage(given, `partition ${i}`));
    const fail = async (error: Error, of = outages) => {
      for (const one of of) await one.pause(error, running);
    };
    for (; now <= 3000; now += 500) await fail(createErrorFromCode(NOT_LEADER));
    expect(lines.map((one) => one.level)).toEqual([40]);
    const [first, ...others] = outages;
    for (const one of others) one.over();
    expect(lines).toHaveLength(1);
    first?.over();
    expect(lines.map((one) => one.msg)).toEqual([
      expect.stringContaining("waiting for Kafka"),
      "Kafka answers again",
    ]);
  });

  test("one who ended in an outage does not keep it open", async () => {
    let now = 0;
    const { settings: given, lines } = settings({ now: () => now });
    const ended = new Outage(given, "a tail that ends");
    const goesOn = new Outage(given, "sending");
    for (; now <= 2000; now += 500) {
      await ended.pause(createErrorFromCode(NOT_LEADER), running);
      await goesOn.pause(createErrorFromCode(NOT_LEADER), running);
    }
    now += 60_000;
    goesOn.over();
    expect(lines.at(-1)?.msg).toBe("Kafka answers again");
    for (let i = 0; i < 4; i++, now += 500) {
      await goesOn.pause(createErrorFromCode(NOT_LEADER), running);
    }
    expect(lines.map((one) => one.level)).toEqual([40, 30, 40]);
  });

  test("no connection is one line for all, and another where the reason is another", async () => {
    let now = 0;
    const { settings: given, lines } = settings({ now: () => now });
    const waiting = ["sending", "group a", "group b"].map((what) => new Outage(given, what));
    const wrong = new ConnectionFault("not_authorized", "wrong password");
    for (const error of [createErrorFromCode(NOT_LEADER), wrong]) {
      for (let i = 0; i < 4; i++, now += 500) {
        for (const one of waiting) await one.pause(error, running);
      }
    }
    expect(lines.map((one) => one.msg)).toEqual([
      expect.stringMatching(/^waiting for Kafka: NOT_LEADER/),
      "waiting for Kafka: wrong password; what needs it goes on by itself when it answers",
    ]);
  });

  test("what Kafka refuses is told of each", async () => {
    let now = 0;
    const { settings: given, lines } = settings({ now: () => now });
    for (const what of ["group a", "group b"]) {
      const outage = new Outage(given, what);
      for (let i = 0; i < 4; i++, now += 500) {
        await outage.pause(createErrorFromCode(NOT_AUTHORIZED), running);
      }
    }
    expect(lines.map((one) => one.msg)).toEqual([
      expect.stringContaining("group a"),
      expect.stringContaining("group b"),
    ]);
  });
});
