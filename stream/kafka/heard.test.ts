import { pino } from "pino";
import { expect, test } from "vitest";
import { Heard } from "./heard.ts";
import { KAFKA_LIMITS, settle } from "./options.ts";

function heard() {
  const clock = { ms: 0 };
  const settings = settle({
    brokers: ["127.0.0.1:1"],
    clientId: "test",
    logger: pino({ level: "silent" }),
    now: () => 1_000_000 + clock.ms,
  });
  return { clock, heard: new Heard(settings, () => clock.ms) };
}
const LATE = KAFKA_LIMITS.fetchWaitMs + 3001;

test("a broker that hangs is told by its silence alone, as of its last answer", () => {
  const { clock, heard: one } = heard();
  clock.ms = 700;
  one.answer();
  one.asks();
  clock.ms += LATE - 1;
  expect(one.status()).toEqual({ state: "following" });
  clock.ms += 1;
  expect(one.status()).toEqual({ state: "waiting", since: 1_000_700 });
  one.fault("broker does not answer");
  expect(one.status()).toMatchObject({ since: 1_000_700, lastError: "broker does not answer" });
  one.answer();
  expect(one.status()).toEqual({ state: "following" });
});

test("a broker that was never reached is waited for since the start, and a brief fault is none", () => {
  const { clock, heard: one } = heard();
  one.fault("connection refused");
  clock.ms = 900;
  expect(one.status().state).toBe("following");
  clock.ms = 1100;
  expect(one.status()).toEqual({
    state: "waiting",
    since: 1_000_000,
    lastError: "connection refused",
  });
});

test("a reader that is long at work on what came does not make Kafka look away", () => {
  const { clock, heard: one } = heard();
  one.answer();
  clock.ms = 60_000;
  expect(one.status().state).toBe("following");
});
