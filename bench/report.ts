/** Medians, tables and verdicts: what every bench prints. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

/** The value below which the share of all values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

/** Round by round, so that a slow minute of the machine hits both. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, i) => value / (theirs[i] ?? Number.NaN));
}

/** One line that says whether a target is met. */
export function verdict(
  what: string,
  value: number,
  bound: "at least" | "at most",
  target: number,
  unit = "",
): string {
  const met = bound === "at least" ? value >= target : value <= target;
  const text = (number: number) => `${cell(number)}${unit && ` ${unit}`}`;
  return `  ${met ? "met   " : "MISSED"} ${what}: ${text(value)}, target ${bound} ${text(target)}`;
}

function cell(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
}

export function table(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const text = (value: string | number | undefined) =>
    typeof value === "number" ? cell(value) : (value ?? "");
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns),
    line(columns.map(() => "---")),
    ...rows.map((row) => line(columns.map((column) => text(row[column])))),
  ].join("\n");
}
