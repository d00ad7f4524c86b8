/**
 * A ledger that is too large for the memory, in parts: each has all messages of some of the devices.
 *
 * Acknowledgements name messages by their numbers and not by their devices, so it is sorted twice: by numbers into pieces
 * that the ledger's reader (oracle-ledger.ts) reads one by one, and what it found by devices.
 */
import { statSync } from "node:fs";
import { type LedgerMessage, parseLedger, type SentLedger } from "./oracle-ledger.ts";
import { forgetGarbage } from "./verify-memory.ts";
import { linesOf, Spill } from "./verify-spill.ts";

/** What a ledger says of the run as a whole. */
export type LedgerHead = Omit<SentLedger, "messages">;

/** Of one device more may stand in one part: a device is never in two. */
const PART_MESSAGES = 20_000;
/** Bytes of the ledger that are read at once; in memory it is some ten times as much. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** Messages: with fewer there is no garbage to speak of. */
const MANY = 5000;

export interface LedgerPartsOptions {
  /** For what does not fit in the memory. */
  readonly directory: string;
  readonly partMessages?: number;
  readonly pieceBytes?: number;
}

export class LedgerParts {
  readonly #options: LedgerPartsOptions;
  /** The part of each device. */
  readonly #places = new Map<string, number>();
  readonly #spill: Spill;
  readonly head: LedgerHead;
  count = 0;

  /** @throws as parseLedger does */
  constructor(file: string, options: LedgerPartsOptions) {
    this.#options = options;
    this.#spill = new Spill(options.directory, "ledger");
    const pieces = this.#inPieces(file);
    let head: LedgerHead | undefined;
    for (const text of pieces) {
      const { messages, ...own } = readPiece(text);
      head = head
        ? { ...own, dropped: head.dropped + own.dropped, to: Math.max(head.to, own.to) }
        : own;
      for (const { device, time, metrics, at, writes, acknowledged } of messages) {
        const part = this.partOf(device) ?? 0;
        const line = [device, time ?? null, metrics, at, writes, acknowledged];
        this.#spill.add(part, JSON.stringify(line));
      }
      if (messages.length > MANY) forgetGarbage();
    }
    this.head = head as LedgerHead;
  }

  /** Names of all devices that sent something. */
  get devices(): Iterable<string> {
    return this.#places.keys();
  }

  get deviceCount(): number {
    return this.#places.size;
  }

  /** Undefined for a device that is not of the ledger. */
  partOf(device: string): number | undefined {
    return this.#places.get(device);
  }

  /** In the order of time. */
  messages(part: number): LedgerMessage[] {
    const messages: LedgerMessage[] = [];
    for (const line of this.#spill.lines(part)) {
      const [device, time, metrics, at, writes, acknowledged] = JSON.parse(line);
      messages.push({ device, time: time ?? undefined, metrics, at, writes, acknowledged });
    }
    // Pieces come by numbers: of two that are alike it is the later one that is said to be missing.
    return messages.sort((a, b) => a.at - b.at);
  }

  /** Each as if it were a whole ledger, with the messages of some numbers. */
  *#inPieces(file: string): Generator<string> {
    const { directory, pieceBytes = PIECE_BYTES } = this.#options;
    const count = Math.max(1, Math.ceil(sizeOf(file) / pieceBytes));
    const spill = new Spill(directory, "piece");
    const everywhere = (line: string) => {
      for (let piece = 0; piece < count; piece += 1) spill.add(piece, line);
    };
    const names = new Map<number, string>();
    const sent = new Map<number, number>();
    let first = true;
    let lines = 0;
    for (const line of linesOf(file)) {
      lines += 1;
      if (lines % (20 * MANY) === 0) forgetGarbage();
      const [, kind = "", n = "", i = ""] = NUMBERED.exec(line) ?? [];
      if (first) everywhere(line);
      else if (kind === "a") acknowledgedIn(line, count, spill);
      else if (kind === "x") spill.add(0, line);
      else if (kind !== "") {
        spill.add(Number(n) % count, line);
        if (kind === "s") sent.set(Number(i), (sent.get(Number(i)) ?? 0) + 1);
      } else {
        const entry = entryOf(line, file, lines);
        if (entry.t === "device") names.set(entry.i, entry.d);
        everywhere(line);
      }
      first = false;
    }
    this.#place(names, sent);
    for (let piece = 0; piece < count; piece += 1) {
      const own = [...spill.lines(piece)];
      yield own.length === 0 ? "" : `${own.join("\n")}\n`;
    }
  }

  /** Neighbours together: they are of the same gateway. */
  #place(names: ReadonlyMap<number, string>, sent: ReadonlyMap<number, number>): void {
    const { partMessages = PART_MESSAGES } = this.#options;
    const counts = new Map<string, number>();
    for (const [i, device] of names) {
      const count = sent.get(i) ?? 0;
      if (count > 0) counts.set(device, (counts.get(device) ?? 0) + count);
    }
    let part = 0;
    let filled = 0;
    for (const [device, count] of counts) {
      if (filled > 0 && filled + count > partMessages) {
        part += 1;
        filled = 0;
      }
      filled += count;
      this.#places.set(device, part);
    }
    this.count = part + 1;
  }
}

/** Lines that are lists: `["s",n,at,i,`, `["r",n,`, `["f",n,`, `["a",`, `["x",`. */
const NUMBERED = /^\["([asxrf])",(-?\d+)(?:,-?[\d.]+,(\d+))?/;

function readPiece(text: string): SentLedger {
  try {
    return parseLedger(text);
  } catch (error) {
    // The line is one of the piece's.
    throw new Error((error as Error).message.replace(/^ledger line \d+/, "ledger"));
  }
}

function acknowledgedIn(line: string, count: number, spill: Spill): void {
  const [, at, ...numbers] = JSON.parse(line) as [string, number, ...number[]];
  const pieces = Map.groupBy(numbers, (n) => n % count);
  for (const [piece, own] of pieces) spill.add(piece, JSON.stringify(["a", at, ...own]));
}

/** @throws Error in words for whoever named the file */
function sizeOf(file: string): number {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) throw new Error(`there is no ledger ${file}`);
  return found.size;
}

/** @throws Error where a line is none of a ledger */
function entryOf(line: string, file: string, number: number) {
  try {
    return JSON.parse(line);
  } catch (error) {
    const what = `${file}, line ${number} is not of a ledger that tidegate simulate --ledger has written`;
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}
