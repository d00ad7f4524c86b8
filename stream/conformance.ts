/**
 * The suite that every adapter of the EventLog port passes. An adapter's test file calls it once with a harness that
 * says how to make a fresh store, how to open it (again), and what it can show (stream/conformance/harness.ts).
 *
 * It also settles what the port leaves open:
 *  - caughtUp() of a processor or tail that failed rejects with what failed it, and of one that is stopped with a
 *    `closed` error; an abort rejects with the signal's reason;
 *  - a step that throws is a bug: the processor becomes `failed`, commits nothing of that batch, and leaves others be;
 *  - an acknowledgement that the source refuses is offered again, with the same batch, before any other is asked for;
 *  - a topology without `tickMs` sees no ticks, whoever wrote them, and no topology sees those of another input than
 *    its first; ticks have a null key;
 *  - a processor begins at the start of its inputs, and at its committed position afterwards.
 */
import { describe } from "vitest";
import { awayTests } from "./conformance/away.ts";
import type { ConformanceHarness } from "./conformance/harness.ts";
import { processorTests } from "./conformance/processors.ts";
import { rebuildTests } from "./conformance/rebuilds.ts";
import { recordTests } from "./conformance/records.ts";
import { restartTests } from "./conformance/restarts.ts";
import { sinkTests } from "./conformance/sinks.ts";
import { tailTests } from "./conformance/tails.ts";
import { tickTests } from "./conformance/ticks.ts";

export function eventLogConformance(harness: ConformanceHarness): void {
  describe(`event log conformance: ${harness.name}`, {
    timeout: harness.timeoutMs ?? 20_000,
  }, () => {
    describe("records", () => recordTests(harness));
    describe("tails", () => tailTests(harness));
    describe("sinks", () => sinkTests(harness));
    describe("processors", () => processorTests(harness));
    describe("restarts", () => restartTests(harness));
    describe("rebuilds", () => rebuildTests(harness));
    describe("ticks", () => tickTests(harness));
    if (harness.capabilities.away) describe("the log away", () => awayTests(harness));
  });
}
