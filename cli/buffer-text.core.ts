/** What `tidegate buffer` says of a buffer in plain words. Pure. */
import type { BufferStatus } from "../events/schema.ts";
import type {
  Examination,
  NextStart,
  Quarantined,
  SequencesOf,
} from "../gateway/buffer/examine.ts";

export type Verdict = "whole" | "damaged" | "unproven";

/** @returns `unproven` where nothing is wrong with the store, and nothing says whether it is all */
export function verdictOf({ start }: Examination): Verdict {
  if (start === "salvage") return "damaged";
  return start === "new-epoch" ? "unproven" : "whole";
}

const START: Readonly<Record<NextStart, string>> = {
  nothing: "nothing: it is taken as it is",
  "finish-salvage":
    "puts the store that was salvaged in its place, which a power cut kept it from doing",
  "new-epoch": "keeps everything, and begins a new epoch so that no sequence is used twice",
  salvage: "saves what can be saved, keeps the original in quarantine, and begins a new epoch",
};

export function checkText(
  directory: string,
  examination: Examination,
  originals: readonly Quarantined[],
): string {
  const { format, epochs, cursor, mark, groups, bytes, damage, lost, saved, start } = examination;
  const rows: (readonly [string, string])[] = [
    ["Buffer", directory],
    ["Format", format === undefined ? "unreadable" : String(format)],
    ...epochs.map(({ epoch, gateway, highest, waiting }, i): readonly [string, string] => [
      i === 0 ? "Epochs" : "",
      `${epoch}  up to ${count(highest)}, ${waiting ? `${range(waiting)} wait` : "nothing waits"}${gateway === undefined ? "" : `; of ${gateway}`}`,
    ]),
    ["Cursor", cursorText(cursor)],
    ["Mark", markText(mark)],
    ["Holds", `${things(groups, "group")}, ${count(bytes)} bytes of events`],
    ["On disk", `${count(examination.diskBytes)} bytes; ${count(examination.freeBytes)} are free`],
    ...damage.map((finding, i): readonly [string, string] => [i === 0 ? "Damage" : "", finding]),
    ...(saved === undefined ? [] : ([["Would save", things(saved, "event")]] as const)),
    ...lost.map((one, i): readonly [string, string] => [
      i === 0 ? "Would lose" : "",
      lostText(one),
    ]),
    ["At a start", START[start]],
    ...originals.map((one, i): readonly [string, string] => [
      i === 0 ? "Quarantine" : "",
      originalText(one),
    ]),
  ];
  return `${table(rows)}\n${verdictText(examination)}\n`;
}

function originalText({ number, bytes, at }: Quarantined): string {
  return `${number}  put aside ${new Date(at).toISOString()}, ${count(bytes)} bytes (tidegate buffer export --quarantine ${number})`;
}

function cursorText(cursor: Examination["cursor"]): string {
  if (!cursor) return "unreadable";
  const { epoch, sequence } = cursor;
  return sequence === 0 ? "nothing is released yet" : `released up to ${epoch}-${sequence}`;
}

function markText(mark: Examination["mark"]): string {
  if (!mark) return "not there, or unreadable";
  const copied = mark.copied ? "; this file is a copy of another one" : "";
  return `acknowledged up to ${mark.epoch}-${mark.sequence}${copied}`;
}

function lostText({ epoch, from, to }: SequencesOf): string {
  return `${epoch}  ${range({ from, to })} (${things(to - from + 1, "event")})`;
}

function verdictText(examination: Examination): string {
  const lost = examination.lost.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  switch (verdictOf(examination)) {
    case "whole":
      return "Whole: everything that was acknowledged and not released is there, as it was written.";
    case "unproven":
      return examination.mark?.copied
        ? "It was put back from a copy: what was acknowledged after the copy was made is not in it."
        : "What is there is as it was written. Without the mark nothing says whether that is all.";
    case "damaged":
      return lost === 0
        ? "Damaged. Nothing that was acknowledged is lost."
        : `Damaged: ${things(lost, "event")} that had been accepted would be declared lost.`;
  }
}

/**
 * Of a gateway that has it open. How it found its store at its start it does not report, so nothing is said of that but
 * what was declared lost, and what stands in quarantine.
 */
export function runningText(
  { pid, http }: { readonly pid: number; readonly http: string },
  buffer: BufferStatus | undefined,
  unready: string | undefined,
  originals: readonly Quarantined[] = [],
): string {
  const lead = `A gateway has the buffer open (process ${pid}, ${http}).`;
  if (!buffer || buffer.state === "recovering") {
    return `${lead}\nIt is being recovered, and nothing is acknowledged until that is done: ${buffer?.trouble ?? unready ?? "no reason is told"}\n`;
  }
  const damage = buffer.lost.damage;
  const was = damage === 1 ? "was" : "were";
  const lines = [
    damage === 0
      ? "Nothing was declared lost to damage since it started."
      : `${things(damage, "event")} ${was} declared lost to damage since it started.`,
    ...(buffer.recoveries === 0
      ? []
      : [
          `It was closed, opened again and checked ${things(buffer.recoveries, "time")} since then, after a failed write or damage.`,
        ]),
    ...(buffer.state === "full" && buffer.policy === "refuse"
      ? ["It is full: nothing more is acknowledged until the log takes some."]
      : []),
    ...originals.map((one) => `A damaged original is in quarantine: ${originalText(one)}.`),
    "It checks every record that it reads; to check the files, stop it.",
  ];
  return `${lead}\n${lines.join("\n")}\n`;
}

export function range({ from, to }: { readonly from: number; readonly to: number }): string {
  return from === to ? count(from) : `${count(from)} to ${count(to)}`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export function count(value: number): string {
  return whole.format(value);
}

export function things(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** Two columns. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join("");
}
