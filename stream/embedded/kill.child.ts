/** The process that kill.test.ts kills: a sink that sends a journal from a sequence on, and a processor over it. */
import { encodeCbor } from "../../events/codec.ts";
import type { Topology } from "../port.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";

const BATCH = 20;
const [directory = "", first = "1"] = process.argv.slice(2);
let next = Number(first);

const topology: Topology = {
  name: "count",
  inputs: ["events"],
  outputs: [{ topic: "out", coalesce: false }],
  changelog: "changelog",
  step(state, input) {
    if (input.kind === "tick") return { state: [], outputs: [] };
    const { record } = input;
    const count = ((state.get("count") as number | undefined) ?? 0) + 1;
    const id = `${record.offset}`;
    return {
      state: [["count", count]],
      outputs: [{ topic: "out", key: "all", type: "tidegate.device", id, time: 0, event: count }],
    };
  },
};

const log = new EmbeddedEventLog({ directory, commitRecords: 15 });
await log.start();
await log.createTopics([
  { name: "events", partitions: 1, cleanup: "delete" },
  { name: "out", partitions: 1, cleanup: "delete" },
  { name: "changelog", partitions: 1, cleanup: "compact" },
]);
await log.process(topology).start();
await log
  .sink({
    async next() {
      const records = Array.from({ length: BATCH }, (_, i) => ({
        key: "gw-a",
        headers: { ce_id: `e000000001-${next + i}`, ce_source: "/gateways/gw-a" },
        value: encodeCbor(next + i),
      }));
      return { topic: "events", key: "gw-a", records };
    },
    async acknowledged() {
      next += BATCH;
      process.send?.(next - 1);
    },
  })
  .start();
