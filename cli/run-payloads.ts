/** Holds the object store against what the journals tell of it, object by object, by size and SHA-256. */
import { createHash } from "node:crypto";
import { openObjectStore } from "../gateway/payloads/open-store.ts";
import { openLog } from "./open-log.ts";
import {
  type JournalLine,
  type ObjectState,
  PayloadLedger,
  type PayloadReport,
  reportOf,
} from "./payloads.core.ts";
import type { ProgramSettings } from "./programs.ts";

/** Objects that are fetched at once. */
const AT_ONCE = 4;
const PATIENCE_MS = 60_000;

/** @throws where the log or the store cannot be asked */
export async function checkPayloads(settings: ProgramSettings["tools"]): Promise<PayloadReport> {
  const ledger = new PayloadLedger();
  const log = await openLog(settings, "payloads");
  try {
    let rest = "";
    const request = { last: Number.POSITIVE_INFINITY, follow: false };
    await log.tail("events", request, new AbortController().signal, async (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        // Most are readings, and are not worth parsing.
        if (line.includes('"tidegate.payload')) ledger.add(JSON.parse(line) as JournalLine);
      }
    });
  } finally {
    await log.close();
  }
  const account = ledger.account();
  const store = openObjectStore(settings.payloads, settings.data_dir, 0);
  const states = new Map<string, ObjectState>();
  const left = [...account.stored];
  const look = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [id, { key, sha256, size }] = next;
      const bytes = await store.get(key, AbortSignal.timeout(PATIENCE_MS));
      const isWhole =
        bytes?.length === size && createHash("sha256").update(bytes).digest("hex") === sha256;
      states.set(id, bytes === undefined ? "missing" : isWhole ? "whole" : "changed");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  const { s3, directory } = settings.payloads;
  const isOwn = s3.bucket === undefined && directory === undefined;
  return reportOf(store.place, account, states, isOwn);
}
