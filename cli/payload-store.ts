/** What `tidegate doctor` finds of the object store, by a small object that is put, fetched and removed. */
import { randomBytes } from "node:crypto";
import { openObjectStore } from "../gateway/payloads/open-store.ts";
import { ObjectStoreError } from "../gateway/payloads/port.ts";
import type { PayloadSettings } from "../gateway/payloads/settings.ts";
import { digestOf } from "../gateway/payloads/uploader.ts";
import type { Finding } from "./doctor.core.ts";

const PATIENCE_MS = 10_000;

/** Nothing of a store in the gateway's own data directory, which belongs to the gateway's user and not to who looks. */
export async function storeFindings(
  settings: PayloadSettings,
  dataDir: string,
): Promise<Finding[]> {
  if (settings.s3.bucket === undefined && settings.directory === undefined) return [];
  const store = openObjectStore(settings, dataDir, 0);
  const area = "object store";
  const subject = store.place;
  const bytes = randomBytes(64);
  const key = `doctor/${bytes.toString("hex").slice(0, 24)}`;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    await store.put({ key, bytes, sha256: digestOf(bytes) }, signal);
    const found = await store.get(key, signal);
    if (!found?.equals(bytes)) {
      return [
        { area, state: "fail", subject, text: "gives back another object than it was given" },
      ];
    }
  } catch (error) {
    const { message } = error as Error;
    const text = signal.aborted ? `does not answer within ${PATIENCE_MS / 1000} s` : message;
    return [{ area, state: "fail", subject, text }];
  }
  const found: Finding[] = [
    { area, state: "ok", subject, text: "takes an object and gives it back whole" },
  ];
  try {
    await store.remove(key, signal);
  } catch (error) {
    // A gateway needs no right to remove, and is better without.
    const isForbidden = error instanceof ObjectStoreError && error.code === "denied";
    const text = isForbidden
      ? "may not remove it, which a gateway need not"
      : (error as Error).message;
    found.push({ area, state: isForbidden ? "ok" : "warn", subject: key, text });
  }
  return found;
}
