/** Every view is an address: `#/devices/<gateway>/<device>?range=1h&zone=utc`. Pure; what cannot be read is the overview. */

export const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d", "all"] as const;
export type NamedRange = (typeof RANGES)[number];
const HOUR = 3_600_000;
export const RANGE_MS: Readonly<Record<Exclude<NamedRange, "all">, number>> = {
  "15m": HOUR / 4,
  "1h": HOUR,
  "6h": 6 * HOUR,
  "24h": 24 * HOUR,
  "7d": 7 * 24 * HOUR,
  "30d": 30 * 24 * HOUR,
};

/** A name that moves with the clock, or a fixed piece of time in ms since 1970. */
export type Range = NamedRange | { readonly from: number; readonly to: number };
export type Zone = "local" | "utc";

export type View =
  | { readonly name: "overview" }
  | { readonly name: "alerts" }
  | { readonly name: "device"; readonly gateway: string; readonly device: string };

export interface Route {
  readonly view: View;
  /** Undefined: the view chooses. */
  readonly range?: Range;
  readonly zone: Zone;
  /** What devices are searched for on the overview. */
  readonly search: string;
}

function parseRange(text: string | null): Range | undefined {
  if (!text) return undefined;
  const name = RANGES.find((range) => range === text);
  if (name) return name;
  const fixed = /^(-?\d{1,16})\.\.(-?\d{1,16})$/.exec(text);
  const from = Number(fixed?.[1]);
  const to = Number(fixed?.[2]);
  return fixed && from < to ? { from, to } : undefined;
}

function decode(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return "";
  }
}

function parseView(path: string): View {
  const [, first, gateway, device] = path.split("/");
  if (first === "alerts") return { name: "alerts" };
  if (first === "devices" && decode(gateway) && decode(device)) {
    return { name: "device", gateway: decode(gateway), device: decode(device) };
  }
  return { name: "overview" };
}

export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, "");
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1));
  const range = parseRange(query.get("range"));
  return {
    view: parseView(path),
    zone: query.get("zone") === "utc" ? "utc" : "local",
    search: query.get("q") ?? "",
    ...(range ? { range } : {}),
  };
}

export function formatRoute(route: Route): string {
  const query = new URLSearchParams();
  const { range, view } = route;
  if (range) {
    query.set("range", typeof range === "string" ? range : `${range.from}..${range.to}`);
  }
  if (route.zone === "utc") query.set("zone", "utc");
  if (route.search && view.name === "overview") query.set("q", route.search);
  const path =
    view.name === "device"
      ? `/devices/${encodeURIComponent(view.gateway)}/${encodeURIComponent(view.device)}`
      : view.name === "alerts"
        ? "/alerts"
        : "/";
  const text = query.toString();
  return `#${path}${text ? `?${text}` : ""}`;
}
