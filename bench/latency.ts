/**
 * How long an acknowledgement takes at half the top rate, beside a bare loop of write and fdatasync on the same disk: the
 * least that a durable acknowledgement can take. Alternating rounds of one run.
 *
 *   npm run bench -- latency [rounds]
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type LoadResult, runLoad } from "./load.ts";
import {
  mosquittoMissing,
  startMosquitto,
  startPeer,
  stopPeer,
  withDirectory,
} from "./processes.ts";
import { median, percentile, table, verdict } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const COMMON = { connections: 50, window: 20, payloadBytes: 120, warmUpMs: 700 };
const BARE_MS = 2000;
/** What a group commit of a busy gateway comes to, roughly; the time is the sync's, not the bytes'. */
const BARE_BYTES = 16 * 1024;
const FACTOR = 3;
const ALLOWANCE_MS = 5;

/** @returns ms of each write with its sync, to a file that grows as a log does */
function bareLoop(directory: string): number[] {
  const file = openSync(join(directory, "bare"), "w");
  const bytes = Buffer.alloc(BARE_BYTES, 0x5a);
  const times: number[] = [];
  const until = performance.now() + BARE_MS;
  for (let now = performance.now(); now < until; ) {
    const from = now;
    writeSync(file, bytes);
    fdatasyncSync(file);
    now = performance.now();
    times.push(now - from);
  }
  closeSync(file);
  return times;
}

const bare: number[][] = [];
const tops: LoadResult[] = [];
const halves: LoadResult[] = [];
/** What the machine itself adds while it has other work: a broker without a disk, at the same rate. */
const controls: LoadResult[] = [];
const missing = await mosquittoMissing();
for (let i = 0; i < ROUNDS; i += 1) {
  await withDirectory(async (directory) => {
    bare.push(bareLoop(directory));
    const gateway = await startPeer("tidegate", "peer-gateway.ts", directory);
    const to = { port: gateway.port, watch: gateway.pid };
    try {
      const top = await runLoad({ ...COMMON, ...to, measureMs: 2000 });
      const rate = top.acksPerSecond / 2;
      tops.push(top);
      halves.push(await runLoad({ ...COMMON, ...to, measureMs: 4000, rate, burst: 20 }));
    } finally {
      await stopPeer(gateway);
    }
    if (missing) return;
    const mosquitto = await startMosquitto(directory);
    try {
      const rate = (tops.at(-1)?.acksPerSecond ?? 0) / 2;
      const load = { ...COMMON, port: mosquitto.port, measureMs: 4000, rate, burst: 20 };
      controls.push(await runLoad(load));
    } finally {
      await stopPeer(mosquitto);
    }
  });
}

const of = (results: readonly LoadResult[], field: keyof LoadResult) =>
  median(results.map((result) => result[field]));
const bareP99 = median(bare.map((times) => percentile(times, 0.99)));
const p99 = of(halves, "p99Ms");
console.log(
  `${ROUNDS} rounds in turn, ${COMMON.connections} connections, ${COMMON.payloadBytes} B, QoS 1; half the top rate comes in pieces of 20 messages of one connection; medians\n`,
);
console.log(
  table([
    {
      what: `write ${BARE_BYTES / 1024} KiB + fdatasync`,
      "each second": median(bare.map((times) => times.length / (BARE_MS / 1000))),
      "p50 ms": median(bare.map((times) => percentile(times, 0.5))),
      "p99 ms": bareP99,
      "p99 since due, ms": "",
    },
    ...[
      { what: "PUBACK, top rate", results: tops },
      { what: "PUBACK, half of it", results: halves },
      { what: "mosquitto with nothing on disk, at that rate", results: controls },
    ].map(({ what, results }) => {
      return {
        what,
        "each second": of(results, "acksPerSecond"),
        "p50 ms": of(results, "p50Ms"),
        "p99 ms": of(results, "p99Ms"),
        "p99 since due, ms": results !== tops ? of(results, "dueP99Ms") : "",
      };
    }),
  ]),
);
console.log(
  "\nSince due: from when the message should have been written, so that a generator kept from its processor counts too.",
);
console.log(
  verdict(
    `p99 of the PUBACK at half the top rate (3 × p99 of the bare loop + 5 ms)`,
    p99,
    "at most",
    FACTOR * bareP99 + ALLOWANCE_MS,
    "ms",
  ),
);
