/**
 * Bytes written for a reading at the block device: what wears an SD card out. The gateway's data directory lies on an ext4
 * of its own on a loop device, whose sectors the kernel counts; the log that readings are forwarded to lies elsewhere.
 *
 *   npm run bench -- wear [seconds] [haste]
 *
 * A gateway at 100 readings/s, `haste` times as fast: rate, commit window and heartbeat are all scaled, so that a commit
 * holds as many readings as it would, and tables are written within a short run. What the file system writes by the clock
 * (every 5 s) is counted too seldom by that, which is little beside what each commit writes.
 *
 * Each case runs twice at the same time: on ext4 as it comes, and on one without a journal and under strace, which tells
 * the journal's share and that of each kind of file. Needs root, loop devices and strace.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { missingCommand } from "../test/debian.ts";
import { pagesByFile, traceTo } from "./file-pages.ts";
import { runLoad } from "./load.ts";
import { LoopDisk } from "./loop-disk.ts";
import type { PeerGatewayOptions, PeerGatewayReport } from "./peer-gateway.ts";
import { ask, startPeerUnder, stopPeer, withDirectory } from "./processes.ts";
import { table } from "./report.ts";

const SECONDS = Number(process.argv[2] ?? 40);
const HASTE = Number(process.argv[3] ?? 10);
const READINGS_PER_SECOND = 100;
/** Faster than this, readings that would each have a commit of their own begin to share one. */
const MOST_HASTE_ALONE = 2;
const HEARTBEAT_MS = 10_000;
const WINDOWS_MS = [0, 100, 1000];

/** What years of life are stated for; the second and third are assumptions about cheap cards, not measured. */
const CARD = { bytes: 32e9, eraseCycles: 3000, amplification: 4 };
const SECONDS_A_YEAR = 365.25 * 86_400;

const KINDS = ["log", "tables", "mark", "other files"] as const;
type Kind = (typeof KINDS)[number];

function kindOf(path: string): Kind {
  const name = basename(path);
  if (/\.log$/.test(name)) return "log";
  if (/\.(ldb|sst)$/.test(name)) return "tables";
  return /mark/.test(path) ? "mark" : "other files";
}

interface Written {
  /** All of these for each reading. */
  readonly bytes: number;
  readonly kinds: Readonly<Record<Kind, number>> | undefined;
  readonly readingsPerCommit: number;
}

async function measure(windowMs: number, online: boolean, journal: boolean): Promise<Written> {
  const disk = LoopDisk.make(journal);
  const elsewhere = mkdtempSync(
    join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tidegate-bench-log-"),
  );
  const trace = join(elsewhere, "trace");
  const haste = windowMs === 0 ? Math.min(HASTE, MOST_HASTE_ALONE) : HASTE;
  const options: PeerGatewayOptions = {
    commitWindowMs: windowMs / haste,
    heartbeatIntervalMs: HEARTBEAT_MS / haste,
    ...(online ? { embedded: elsewhere } : {}),
  };
  try {
    return await withDirectory(async (directory) => {
      const gateway = await startPeerUnder(
        journal ? [] : traceTo(trace),
        ...(["tidegate", "peer-gateway.ts", directory, JSON.stringify(options)] as const),
      );
      try {
        const bytesBefore = disk.bytesWritten();
        const before = await ask<PeerGatewayReport>(gateway, "report");
        await runLoad({
          ...{ port: gateway.port, connections: 20, window: 1, payloadBytes: 120 },
          ...{ rate: READINGS_PER_SECOND * haste, burst: 1 },
          ...{ warmUpMs: 0, measureMs: SECONDS * 1000 },
        });
        const after = await ask<PeerGatewayReport>(gateway, "report");
        const readings = after.readings - before.readings;
        const bytes = (disk.bytesWritten() - bytesBefore) / readings;
        await stopPeer(gateway);
        const readingsPerCommit = readings / (after.commits - before.commits);
        return {
          bytes,
          readingsPerCommit,
          kinds: journal ? undefined : kinds(trace, disk, readings),
        };
      } finally {
        await stopPeer(gateway);
      }
    }, disk.mount);
  } finally {
    await disk.remove();
    rmSync(elsewhere, { recursive: true, force: true });
  }
}

function kinds(trace: string, disk: LoopDisk, readings: number): Record<Kind, number> {
  const sums = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>;
  for (const [path, bytes] of pagesByFile(trace, disk.mount)) {
    sums[kindOf(path)] += bytes / readings;
  }
  return sums;
}

const missing = (await LoopDisk.missing()) ?? (await missingCommand("strace", "strace"));
if (missing) {
  console.log(`wear is not measured: ${missing}`);
} else {
  const rows = [];
  for (const online of [true, false]) {
    for (const windowMs of WINDOWS_MS) {
      const [whole, bare] = await Promise.all([
        measure(windowMs, online, true),
        measure(windowMs, online, false),
      ]);
      const files = Object.values(bare.kinds ?? {}).reduce((sum, bytes) => sum + bytes, 0);
      const perYear = whole.bytes * READINGS_PER_SECOND * SECONDS_A_YEAR;
      rows.push({
        link: online ? "online" : "offline",
        "commit window ms": String(windowMs),
        "readings/commit": whole.readingsPerCommit,
        "B written/reading": whole.bytes,
        ...bare.kinds,
        "inodes, bitmaps": Math.max(0, bare.bytes - files),
        journal: whole.bytes - bare.bytes,
        "GB/day": (perYear / 365.25 / 1e9).toFixed(1),
        "years of a card": (CARD.bytes * CARD.eraseCycles) / CARD.amplification / perYear,
      });
    }
  }
  console.log(
    `${READINGS_PER_SECOND} readings/s of 120 B for ${SECONDS * HASTE} s, ${HASTE} times as fast; bytes for each reading at the block device, ext4\n`,
  );
  console.log(table(rows));
  console.log(
    `\nWithout a commit window: ${SECONDS * MOST_HASTE_ALONE} s, ${MOST_HASTE_ALONE} times as fast, which is too short for tables; they cost what they cost in the other rows.`,
  );
  console.log(
    `A card of ${CARD.bytes / 1e9} GB whose cells stand ${CARD.eraseCycles.toLocaleString("en")} erasures and that writes ${CARD.amplification} bytes inside for each one given to it (assumed, not measured; half of that doubles the years).`,
  );
}
