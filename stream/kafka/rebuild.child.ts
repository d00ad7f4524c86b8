/** A rebuild in a process of its own, for a test that kills it. Arguments: brokers, namespace, directory, changed code's factor. */
import { pino } from "pino";
import { planOf, sums } from "../conformance/sums.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";

const [brokers = "", space = "", directory = "", times = "1"] = process.argv.slice(2);
const names = {
  name: `${space}-sums`,
  inputs: [`${space}.in.v1`],
  output: `${space}.out.v1`,
  changelog: `${space}.sums-changelog.v1`,
};
const log = new KafkaEventLog({
  brokers: brokers.split(","),
  clientId: "rebuild-child",
  logger: pino({ level: "silent" }),
  limits: { rebuildHoldMs: 3000 },
});
await log.start();
const topology = sums(names, Number(times), 20_000);
let parts = 0;
const plan = planOf(topology);
const { signal } = new AbortController();
await log.rebuild(
  topology,
  {
    ...plan,
    exchange: (states) => {
      const exchange = plan.exchange(states);
      return {
        ...exchange,
        show: (change, commit) => {
          // Some of the transaction is in Kafka by now, and the partition is held.
          if (++parts === 60) process.send?.("in the middle");
          if (parts >= 60) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
          return exchange.show(change, commit);
        },
      };
    },
  },
  { dryRun: false, directory, minFreeBytes: 1, signal, onProgress: () => {} },
);
