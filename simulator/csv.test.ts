import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CsvError, CsvParser, MAX_CELL_LENGTH } from "./csv.ts";

function parse(text: string, delimiter?: string) {
  const parser = new CsvParser(delimiter);
  return [...parser.push(text), ...parser.end()];
}

const cells = (text: string, delimiter?: string) => parse(text, delimiter).map((row) => row.cells);

function fault(text: string): CsvError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof CsvError) return error;
    throw error;
  }
  throw new Error("no fault was found");
}

describe("csv", () => {
  test("plain and quoted cells, both line breaks, with and without a last one", () => {
    expect(cells('a,b\r\n"1, 2","say ""hi"""\n,\n"",x')).toEqual([
      ["a", "b"],
      ["1, 2", 'say "hi"'],
      ["", ""],
      ["", "x"],
    ]);
    expect(cells("a;b\n1,5;2\n", ";")).toEqual([
      ["a", "b"],
      ["1,5", "2"],
    ]);
  });

  test("line numbers count breaks inside of quotes, and empty lines", () => {
    expect(parse('a\n"1\n2"\n\r\n3\r4\n').map(({ line, cells: [cell] }) => [line, cell])).toEqual([
      [1, "a"],
      [2, "1\n2"],
      [5, "3"],
      [6, "4"],
    ]);
  });

  test("a byte order mark belongs to no cell", () => {
    expect(cells("\ufeffa,b\n")).toEqual([["a", "b"]]);
  });

  test("what the RFC does not allow is told with its line", () => {
    expect(fault('a,b\n1,x"y\n')).toMatchObject({
      line: 2,
      message: expect.stringMatching(/quote/),
    });
    expect(fault('a\n"1"2\n')).toMatchObject({ line: 2 });
    expect(fault('a\n1\n"open\nand\nmore')).toMatchObject({ line: 3 });
    expect(fault(`a\n"${"x".repeat(MAX_CELL_LENGTH + 1)}"`)).toMatchObject({ line: 2 });
  });

  test("any table survives, in whatever pieces it comes", () => {
    const cell = fc.string({ unit: fc.constantFrom("a", "1", ",", '"', "\n", "\r", " ", "é") });
    const table = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
    fc.assert(
      fc.property(
        table,
        fc.constantFrom("\n", "\r\n"),
        fc.integer({ min: 1, max: 7 }),
        (rows, end, size) => {
          const text = rows
            .map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(",") + end)
            .join("");
          const parser = new CsvParser();
          const found: (readonly string[])[] = [];
          for (let at = 0; at < text.length; at += size) {
            found.push(...parser.push(text.slice(at, at + size)).map((row) => row.cells));
          }
          found.push(...parser.end().map((row) => row.cells));
          expect(found).toEqual(rows);
        },
      ),
    );
  });
});
