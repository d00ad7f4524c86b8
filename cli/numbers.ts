/** Numbers as flags have them. */
import { InvalidArgumentError } from "commander";
import { parseDuration } from "../rules/duration.ts";

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("A whole number.");
  return Number(text);
}

export function numberFromOne(text: string): number {
  const number = wholeNumber(text);
  if (number === 0) throw new InvalidArgumentError("At least 1.");
  return number;
}

/** A duration as scenarios have it; a plain number is of this unit. @returns a parser that gives ms */
export function durationIn(unitMs: number): (text: string) => number {
  return (text) => {
    const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * unitMs : parseDuration(text);
    if (ms === undefined) throw new InvalidArgumentError(`Write it like 30s, 5m or 1h30m.`);
    return ms;
  };
}

export function decimal(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("A number, 0 or more.");
  return Number(text);
}
