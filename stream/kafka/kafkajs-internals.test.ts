import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { missingInternals } from "./kafkajs-internals.ts";

const require = createRequire(import.meta.url);

test("kafkajs is the version, with the private names, that this adapter was built on", () => {
  expect(missingInternals()).toEqual([]);
});

test("a request queue with nothing pending sets no timer", () => {
  const RequestQueue = require("kafkajs/src/network/requestQueue") as new (
    options: object,
  ) => { throttleCheckTimeoutId: unknown; pending: unknown[]; checkPendingRequests(): void };
  const queue = new RequestQueue({ logger: { debug: () => {} }, maxInFlightRequests: 0 });
  queue.checkPendingRequests();
  expect(queue.throttleCheckTimeoutId).toBeNull();
  // What does wait is still looked at later.
  queue.pending.push({});
  queue.checkPendingRequests();
  expect(queue.throttleCheckTimeoutId).not.toBeNull();
  clearTimeout(queue.throttleCheckTimeoutId as NodeJS.Timeout);
});
