/**
 * A recording on disk, read as often as wanted and never held in memory as a whole.
 *
 * Promise: `check` has looked at every row, with the rules by which `readings` reads, so that a file with a fault is
 * refused before anything of it has been sent.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { CsvError, CsvParser, type CsvRow } from "./csv.ts";
import { SimulatorError } from "./errors.ts";
import {
  type RecordedReading,
  Recording,
  RecordingFault,
  type RecordingOptions,
} from "./recording.ts";

export interface RecordingFileOptions extends RecordingOptions {
  readonly delimiter?: string | undefined;
  /** Passes over rows that cannot be read, counting them. What is no CSV at all is refused even so. */
  readonly skipBad?: boolean | undefined;
}

export interface RecordingCheck {
  readonly metrics: readonly string[];
  /** Rows of data, bad ones included. */
  readonly rows: number;
  readonly skipped: number;
  /** The first of what was passed over, as `file:line: why`. */
  readonly skippedBecause: readonly string[];
}

/** Reasons kept; one is enough to mend a file, a thousand are not more. */
const MAX_REASONS = 10;

export class RecordingFile {
  readonly #file: string;
  readonly #options: RecordingFileOptions;

  constructor(file: string, options: RecordingFileOptions = {}) {
    this.#file = file;
    this.#options = options;
  }

  /** Reads it all. @throws SimulatorError `recording` with file and line */
  async check(): Promise<RecordingCheck> {
    let metrics: readonly string[] = [];
    let rows = 0;
    let skipped = 0;
    const skippedBecause: string[] = [];
    for await (const row of this.#rows()) {
      if ("metrics" in row) metrics = row.metrics;
      else {
        rows += 1;
        if (!("fault" in row)) continue;
        skipped += 1;
        if (skippedBecause.length < MAX_REASONS) skippedBecause.push(row.fault.message);
      }
    }
    return { metrics, rows, skipped, skippedBecause };
  }

  /** @throws SimulatorError `recording` with file and line */
  async *readings(): AsyncGenerator<RecordedReading> {
    for await (const row of this.#rows()) if ("reading" in row) yield row.reading;
  }

  /** First the metrics of the header, then a reading or a fault for each row. */
  async *#rows(): AsyncGenerator<
    | { readonly metrics: readonly string[] }
    | { readonly reading: RecordedReading }
    | { readonly fault: SimulatorError }
  > {
    let recording: Recording | undefined;
    for await (const row of this.#csv()) {
      try {
        if (recording) yield { reading: recording.reading(row.cells) };
        else {
          recording = new Recording(row.cells, this.#options);
          yield { metrics: recording.metrics };
        }
      } catch (error) {
        if (!(error instanceof RecordingFault)) throw error;
        const fault = this.#error(row.line, error.message);
        if (!recording || !this.#options.skipBad) throw fault;
        yield { fault };
      }
    }
    if (recording) return;
    throw new SimulatorError("recording", `${this.#file}: the file is empty; a header is needed`);
  }

  async *#csv(): AsyncGenerator<CsvRow> {
    const parser = new CsvParser(this.#options.delimiter);
    // Fatal: bytes that are not UTF-8 must not pass as replaced ones.
    const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    try {
      // A pipe can be read once only, and it is read twice.
      if (!(await stat(this.#file)).isFile()) {
        throw new SimulatorError("recording", `${this.#file}: not a file; write it into one first`);
      }
      for await (const chunk of createReadStream(this.#file)) {
        yield* parser.push(utf8.decode(chunk as Buffer, { stream: true }));
      }
      yield* parser.push(utf8.decode());
      yield* parser.end();
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #explained(error: unknown): unknown {
    if (error instanceof CsvError) return this.#error(error.line, error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      const what = `${this.#file}: not UTF-8; convert it first (iconv -t utf-8)`;
      return new SimulatorError("recording", what, { cause: error });
    }
    if (code === undefined || error instanceof SimulatorError) return error;
    const why = code === "ENOENT" ? "no such file" : message;
    return new SimulatorError("recording", `${this.#file}: ${why}`, { cause: error });
  }

  #error(line: number, message: string): SimulatorError {
    return new SimulatorError("recording", `${this.#file}:${line}: ${message}`);
  }
}
