import { describe, expect, test } from "vitest";
import { parseTime, Recording } from "./recording.ts";

describe("recording", () => {
  test("columns are metrics, the time is found by its name, in any case", () => {
    const recording = new Recording(["Temperature", "Date", "CO2", "open", "state"]);
    expect(recording.metrics).toEqual(["Temperature", "CO2", "open", "state"]);
    expect(recording.reading(["21.5", "2015-02-04 17:51:00", "-0", "TRUE", "idle"])).toEqual({
      time: Date.UTC(2015, 1, 4, 17, 51),
      metrics: { Temperature: 21.5, CO2: 0, open: true, state: "idle" },
    });
  });

  test("names in snake case, where asked for", () => {
    const names = ["date", "CO2", "HumidityRatio", "Light (lux)", "HTTPStatus"];
    expect(new Recording(names, { metricNames: "snake" }).metrics).toEqual([
      "co2",
      "humidity_ratio",
      "light_lux",
      "http_status",
    ]);
  });

  test("an empty cell is no value", () => {
    const recording = new Recording(["time", "a", "b"]);
    expect(recording.reading(["1500000000", "", "2"]).metrics).toEqual({ b: 2 });
    expect(() => recording.reading(["1500000000", "", " "])).toThrow(/no column has a value/);
  });

  test("a column keeps the kind of its first value; a bad row settles nothing", () => {
    const recording = new Recording(["time", "a", "b"]);
    expect(() => recording.reading(["never", "x", "1"])).toThrow(/not a time/);
    expect(recording.reading(["1500000000", "1", "n/a"]).metrics).toEqual({ a: 1, b: "n/a" });
    expect(() => recording.reading(["1500000001", "ERR", "1"])).toThrow(/a is "ERR", not a number/);
    expect(recording.reading(["1500000001", "2", "1"]).metrics).toEqual({ a: 2, b: "1" });
    expect(() => recording.reading(["1500000001", "1e999", "1"])).toThrow(/not a number/);
  });

  test("what is wrong with a header is told", () => {
    expect(() => new Recording(["when", "a"])).toThrow(/--time-column.*"when", "a"/);
    expect(() => new Recording(["time", "a"], { timeColumn: "at" })).toThrow(/no column "at"/);
    expect(() => new Recording(["time", "a", "a"])).toThrow(/two columns are called "a"/);
    expect(() => new Recording(["time", ""])).toThrow(/column 2.*empty/);
    expect(() => new Recording(["time"])).toThrow(/no column beside/);
    // The gateway would take it for the device's own time.
    expect(() => new Recording(["date", "time", "a"])).toThrow(/column 2 is called "time"/);
  });

  test("a row of another width is refused", () => {
    const recording = new Recording(["time", "a"]);
    expect(() => recording.reading(["1500000000", "1", "2"])).toThrow(/3 cells where .* 2/);
  });
});

describe("times", () => {
  const noon = Date.UTC(2015, 1, 4, 12);
  test.each([
    ["2015-02-04 12:00:00", noon],
    ["2015-02-04T12:00", noon],
    ["2015-02-04T12:00:00.250Z", noon + 250],
    ["2015-02-04 14:00:00+02:00", noon],
    ["2015-02-04 06:30:00-0530", noon],
    ["2015-02-04", noon - 12 * 3_600_000],
    ["1423051200", noon],
    ["1423051200.5", noon + 500],
    ["1423051200000", noon],
  ])("%s", (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });

  test.each([
    "",
    "yesterday",
    "2015-02-30 12:00:00",
    "2015-02-04 24:00:00",
    "04.02.2015",
    "2015-13-01",
  ])("%j is none", (text) => {
    expect(() => parseTime(text)).toThrow(/is not a time/);
  });

  test.each(["1969-12-31", "17", "2100-01-01"])(
    "%s is beyond what a gateway takes for a time",
    (text) => {
      expect(() => parseTime(text)).toThrow(/2000 to 2099/);
    },
  );
});
