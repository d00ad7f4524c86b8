/** Where the windows of a series stand in the rollups' state: the newest of each resolution apart, the closed ones packed. */
import { RESOLUTION_MS, type Resolution } from "../events/schema.ts";
import type { Aggregate } from "./packs.core.ts";

/** The windows that hold the newest time a series was heard at. */
export type Open = Readonly<Record<Resolution, OpenWindow>>;
export type OpenWindow = readonly [window: number, ...Aggregate];

const HOUR_MS = RESOLUTION_MS["1h"];
/** Time that one pack is for: the minutes of an hour, the hours of a day. */
export const PACK_MS: Readonly<Record<Resolution, number>> = { "1m": HOUR_MS, "1h": 24 * HOUR_MS };

const OPEN = "open/";

export function openKey(series: string): string {
  return OPEN + series;
}

/** Where a window is packed. */
export function placeOf(series: string, resolution: Resolution, window: number) {
  const number = Math.floor(window / PACK_MS[resolution]);
  const index = (window - number * PACK_MS[resolution]) / RESOLUTION_MS[resolution];
  return { number, index, stateKey: packKey(series, resolution, number) };
}

export function packKey(series: string, resolution: Resolution, number: number): string {
  return `${resolution}/${series}/${number}`;
}

export type WindowKey =
  | { readonly kind: "open"; readonly series: string }
  | {
      readonly kind: "pack";
      readonly series: string;
      readonly resolution: Resolution;
      readonly number: number;
    };

/** What of windows stands under a key of the state; undefined where it is about something else. */
export function windowsUnder(key: string): WindowKey | undefined {
  if (key.startsWith(OPEN)) return { kind: "open", series: key.slice(OPEN.length) };
  const resolution = key.slice(0, key.indexOf("/"));
  if (resolution !== "1m" && resolution !== "1h") return undefined;
  const end = key.lastIndexOf("/");
  const series = key.slice(resolution.length + 1, end);
  return { kind: "pack", series, resolution, number: Number(key.slice(end + 1)) };
}
