/** Durations as people write them: `30s`, `5m`, `5 min`, `1h30m`. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

export const DURATION_HINT = "a duration like 30s, 5m or 1h30m";

/** @returns ms, or undefined where the text is no duration */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)? ?(ms|s|min|m|h|d) ?)+$/.test(`${text} `)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+(?:\.\d+)?) ?(ms|s|min|m|h|d)/g)) {
    total += Number(digits) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}
