/** The work of `tidegate buffer export`. */
import { eventId } from "../events/ids.ts";
import { type ExaminedBuffer, examineQuarantined } from "../gateway/buffer/examine.ts";
import type { BufferedEvent } from "../gateway/buffer/port.ts";
import { things } from "./buffer-text.core.ts";
import { CommandError } from "./errors.ts";
import { openBuffer, stampOfLook, storeOf } from "./open-buffer.ts";
import { valueJson } from "./record-json.ts";
import { writePatiently } from "./write-patiently.ts";

/** Written at once, so that a line costs no call of its own. */
const CHUNK_CHARACTERS = 64 * 1024;

/** @returns the exit status: 0 everything, 1 something of it is lost */
export async function exportBuffer(
  dataDir: string,
  quarantine: number | undefined,
): Promise<number> {
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort());
  // `tidegate buffer export | head` closes the pipe; that is an end, not an error.
  process.stdout.on("error", () => abort.abort());
  const examined =
    quarantine === undefined ? await openFiles(dataDir) : await openOriginal(dataDir, quarantine);
  try {
    let text = "";
    for await (const event of examined.events()) {
      if (abort.signal.aborted) break;
      text += `${JSON.stringify(eventJson(event))}\n`;
      if (text.length < CHUNK_CHARACTERS) continue;
      await writePatiently(process.stdout, text, abort.signal);
      text = "";
    }
    await writePatiently(process.stdout, text, abort.signal);
  } finally {
    await examined.close();
  }
  const { lost, epochs } = examined.examination;
  if (epochs.length === 0) {
    process.stderr.write(
      "tidegate: neither the mark nor the record of its epochs is there: without them no event of it can be verified, and none is written\n",
    );
    return 1;
  }
  if (lost.length === 0) return 0;
  const events = lost.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  process.stderr.write(
    `tidegate: ${things(events, "event")} could not be read, and ${events === 1 ? "stands" : "stand"} there as declared lost\n`,
  );
  return 1;
}

async function openFiles(dataDir: string): Promise<ExaminedBuffer> {
  const opened = await openBuffer(dataDir);
  if (opened.kind === "files") return opened.examined;
  throw new CommandError(
    `a gateway has the buffer open (process ${opened.running.pid}) and is sending what is in it; stop it first, or read what arrives with tidegate tail events`,
  );
}

async function openOriginal(dataDir: string, number: number): Promise<ExaminedBuffer> {
  const examined = await examineQuarantined(storeOf(dataDir), number, stampOfLook);
  if (examined) return examined;
  throw new CommandError(`there is no quarantined original ${number} in ${dataDir}`);
}

/** As `tidegate tail` prints records, without what only the log knows. */
export function eventJson(event: BufferedEvent): object {
  const { epoch, gateway, sequence, type, time, value } = event;
  const at = Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : null;
  const whose = gateway === undefined ? {} : { gateway };
  return {
    type,
    id: eventId(epoch, sequence),
    ...whose,
    epoch,
    sequence,
    time: at,
    ...valueJson(value),
  };
}
