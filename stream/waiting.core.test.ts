import { expect, test } from "vitest";
import { EVENT_LOG_ERROR_CODES, EventLogError } from "./port.ts";
import { isWaitedFor, retryPauseMs } from "./waiting.core.ts";

test("what may change without the program is waited for, and nothing else", () => {
  const waited = EVENT_LOG_ERROR_CODES.filter((code) => isWaitedFor(new EventLogError(code, "x")));
  expect(waited).toEqual(["unreachable", "unknown_topic", "not_authorized", "tls"]);
  expect(isWaitedFor(new Error("unreachable"))).toBe(false);
});

test("who is refused asks more and more seldom, who waits for a broker asks every second", () => {
  const pauses = (code: "unreachable" | "not_authorized") =>
    [0, 1, 2, 3, 4, 5000].map((attempt) => retryPauseMs(code, attempt));
  expect(pauses("unreachable")).toEqual([1000, 1000, 1000, 1000, 1000, 1000]);
  expect(pauses("not_authorized")).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
});
