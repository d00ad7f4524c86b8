/**
 * A recording as the oracle reads it: by splitting lines, without the project's CSV reader. It takes only what the known
 * recordings are made of: no commas or line breaks inside quotes, times like `2015-02-04 17:51:00` in UTC in the first column,
 * numbers in all others.
 */
import type { OracleReading } from "./oracle.ts";

/** @param text of the whole file. @throws where it is not of that simple kind */
export function csvReadings(text: string, gateway: string, device: string): OracleReading[] {
  const [header = "", ...lines] = text
    .replaceAll("\r", "")
    .replaceAll('"', "")
    .trimEnd()
    .split("\n");
  const [, ...metrics] = header.split(",");
  return lines.map((line, index) => {
    const [time = "", ...cells] = line.split(",");
    const ms = Date.parse(`${time.replace(" ", "T")}Z`);
    const values = cells.map(Number);
    if (Number.isNaN(ms) || values.length !== metrics.length || values.some(Number.isNaN)) {
      throw new Error(`line ${index + 2}: ${line}`);
    }
    return {
      gateway,
      device,
      time: ms,
      metrics: Object.fromEntries(metrics.map((metric, at) => [metric, values[at] ?? Number.NaN])),
    };
  });
}
