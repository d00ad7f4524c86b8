import { expect, test } from "vitest";
import { topicSettings } from "./create-topics.ts";

test("retention is the port's, never Kafka's default of a week", () => {
  const settings = (retentionMs?: number) =>
    Object.fromEntries(
      topicSettings({
        name: "t",
        partitions: 1,
        cleanup: "compact,delete",
        ...(retentionMs === undefined ? {} : { retentionMs }),
      }).map(({ name, value }) => [name, value]),
    );
  expect(settings()).toEqual({
    "cleanup.policy": "compact,delete",
    "retention.ms": "-1",
    "message.timestamp.type": "LogAppendTime",
  });
  expect(settings(86_400_000.4)).toMatchObject({ "retention.ms": "86400000" });
});
