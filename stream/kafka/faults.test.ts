import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { EventLogError } from "../port.ts";
import { CLIENT_FAULTS, eventLogError, faultOf, PROTOCOL_FAULTS, REACTIONS } from "./faults.ts";

const require = createRequire(import.meta.url);
const { errorCodes, createErrorFromCode } = require("kafkajs/src/protocol/error") as {
  errorCodes: { type: string; code: number }[];
  createErrorFromCode(code: number): Error;
};
const errors = require("kafkajs/src/errors") as Record<string, new (...args: unknown[]) => Error>;

describe("faults", () => {
  test("are keyed by errors that kafkajs really has", () => {
    const types = new Set(errorCodes.map((one) => one.type));
    expect(Object.keys(PROTOCOL_FAULTS).filter((type) => !types.has(type))).toEqual([]);
    const ours = ["StaleLeaderFault", "UnknownTopicFault", "NotCreatedFault", "NotAllowedFault"];
    const names = Object.keys(CLIENT_FAULTS).filter((name) => !errors[name]);
    expect(names).toEqual(ours);
  });

  test("use every reaction, and name no other", () => {
    const rows = [...Object.values(PROTOCOL_FAULTS), ...Object.values(CLIENT_FAULTS)];
    expect(new Set(rows.map(([, reaction]) => reaction))).toEqual(new Set(REACTIONS));
  });

  test("of a broker are told by its error code", () => {
    const cases = [
      [3, "unknown_topic", "refresh"],
      [6, "unreachable", "refresh"],
      [10, "invalid", "split"],
      [29, "not_authorized", "refused"],
      [47, "unreachable", "fenced"],
      [51, "unreachable", "retry"],
      [27, "unreachable", "rejoin"],
    ] as const;
    for (const [code, wanted, reaction] of cases) {
      expect(faultOf(createErrorFromCode(code))).toMatchObject({ code: wanted, reaction });
    }
  });

  test("are found inside of kafkajs's wrappers, whatever those call retriable", () => {
    const refused = new (errors.KafkaJSConnectionError as never as typeof Error)(
      "Connection error: connect ECONNREFUSED",
    );
    const wrapped = Object.assign(new Error("wrapper"), {
      name: "KafkaJSNonRetriableError",
      retriable: false,
      cause: refused,
    });
    expect(faultOf(wrapped)).toMatchObject({
      code: "unreachable",
      reaction: "reconnect",
      message: "connect ECONNREFUSED",
    });
    const aggregate = Object.assign(new Error("Topic creation errors"), {
      errors: [createErrorFromCode(37)],
    });
    expect(faultOf(aggregate)).toMatchObject({ code: "invalid", reaction: "refused" });
  });

  test("of a connection are told in few words, with the broker", () => {
    const make = (name: string, ...args: unknown[]) => {
      const Made = errors[name] as new (...of: unknown[]) => Error;
      return faultOf(new Made(...args)).message;
    };
    const broker = "kafka-1:9092";
    expect([
      make("KafkaJSRequestTimeoutError", "Request Metadata(key: 3) timed out", { broker }),
      make("KafkaJSConnectionError", "Connection timeout", { broker }),
      make("KafkaJSConnectionClosedError", "Closed connection", { host: "kafka-1", port: 9092 }),
    ]).toEqual([
      "kafka-1:9092 does not answer",
      "kafka-1:9092 takes no connection",
      "kafka-1:9092 closed the connection",
    ]);
  });

  test("that nobody knows are taken for a bad connection, and tried again", () => {
    expect(faultOf(new TypeError("boom"))).toMatchObject({
      code: "unreachable",
      reaction: "reconnect",
      message: "boom",
    });
    expect(faultOf(undefined).message).toBe("undefined");
  });

  test("become the port's errors once", () => {
    const error = eventLogError(createErrorFromCode(3), "ranges of x");
    expect(error).toBeInstanceOf(EventLogError);
    expect(error).toMatchObject({ code: "unknown_topic" });
    expect(error.message).toContain("ranges of x");
    expect(eventLogError(error, "again")).toBe(error);
  });
});
