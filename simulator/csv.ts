/**
 * CSV by RFC 4180, piece by piece: quoted cells with commas, line breaks and doubled quotes, CRLF or LF, a byte order
 * mark. Strict: what the RFC does not allow is an error with its line, because a guess here moves values into other
 * columns. Lines with nothing on them carry nothing and are passed over.
 */

export interface CsvRow {
  /** Line on which the row begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

export class CsvError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.name = "CsvError";
    this.line = line;
  }
}

/** A cell beyond it means a quote that was never closed, not data; without an end it would fill the memory. */
export const MAX_CELL_LENGTH = 64 * 1024;

type State = "cell-start" | "plain" | "quoted" | "quote-in-quoted";

export class CsvParser {
  readonly #delimiter: string;
  #state: State = "cell-start";
  #cell = "";
  #cells: string[] = [];
  #line = 1;
  #rowLine = 1;
  #quoteLine = 1;
  #first = true;
  #afterReturn = false;

  constructor(delimiter = ",") {
    this.#delimiter = delimiter;
  }

  /** @returns the rows that are complete. @throws CsvError */
  push(text: string): CsvRow[] {
    const rows: CsvRow[] = [];
    let from = 0;
    if (this.#first && text !== "") {
      this.#first = false;
      if (text.startsWith("\ufeff")) from = 1;
    }
    for (let at = from; at < text.length; at += 1) this.#take(text.charAt(at), rows);
    return rows;
  }

  /** The last row, where the text does not end with a line break. @throws CsvError */
  end(): CsvRow[] {
    if (this.#state === "quoted") {
      throw new CsvError(this.#quoteLine, "a quote that is opened here is never closed");
    }
    const rows: CsvRow[] = [];
    this.#endRow(rows);
    return rows;
  }

  #take(character: string, rows: CsvRow[]): void {
    const afterReturn = this.#afterReturn;
    this.#afterReturn = false;
    if (this.#state === "quoted") {
      if (character === '"') this.#state = "quote-in-quoted";
      else {
        if (character === "\n") this.#line += 1;
        this.#append(character);
      }
      return;
    }
    switch (character) {
      case this.#delimiter:
        this.#endCell();
        return;
      case "\r":
        this.#endRow(rows);
        this.#line += 1;
        this.#rowLine = this.#line;
        this.#afterReturn = true;
        return;
      case "\n":
        // The second half of CRLF.
        if (afterReturn) return;
        this.#endRow(rows);
        this.#line += 1;
        this.#rowLine = this.#line;
        return;
      case '"':
        if (this.#state === "quote-in-quoted") {
          this.#append('"');
          this.#state = "quoted";
        } else if (this.#state === "cell-start") {
          this.#state = "quoted";
          this.#quoteLine = this.#line;
        } else {
          throw new CsvError(this.#line, "a quote in the middle of an unquoted cell");
        }
        return;
      default:
        if (this.#state === "quote-in-quoted") {
          throw new CsvError(this.#line, `${JSON.stringify(character)} after the closing quote`);
        }
        this.#state = "plain";
        this.#append(character);
    }
  }

  #append(character: string): void {
    if (this.#cell.length >= MAX_CELL_LENGTH) {
      const line = this.#state === "quoted" ? this.#quoteLine : this.#line;
      throw new CsvError(line, `a cell has more than ${MAX_CELL_LENGTH} characters`);
    }
    this.#cell += character;
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#state = "cell-start";
  }

  #endRow(rows: CsvRow[]): void {
    // A quoted empty cell is something: one cell, empty.
    const empty = this.#cells.length === 0 && this.#state === "cell-start";
    if (empty) return;
    this.#endCell();
    rows.push({ line: this.#rowLine, cells: this.#cells });
    this.#cells = [];
  }
}
