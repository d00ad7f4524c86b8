/** What all views share: where we are, what time it is, whether the server lives. */
import { computed, effect, signal } from "@preact/signals";
import { ask } from "./api.ts";
import type { Info } from "./api-types.ts";
import { ServerClock } from "./clock.core.ts";
import { formatTime } from "./format.core.ts";
import { formatRoute, parseRoute, type Route } from "./route.core.ts";

export const clock = new ServerClock();

export function serverNow(): number {
  return clock.now(performance.now(), Date.now());
}

/** Server time, moving once a second: ages follow it. */
export const now = signal(serverNow());

export const route = signal<Route>(parseRoute(location.hash));
export const zone = computed(() => route.value.zone);

export type Connection =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  /** `since`: server time of what was last heard, ms. */
  | { readonly state: "dead"; readonly since: number };
export const connection = signal<Connection>({ state: "connecting" });

export const info = signal<Info | undefined>(undefined);

/** Whether the event log behind the server answers, as the server last said. */
export const source = signal<Info["source"]>({ state: "following" });

/**
 * Since when nothing new can be known, server time, ms; undefined while all is current. Either the server does not answer
 * or the log that fills it does not: what is shown is then of the past, and is said so.
 */
export const staleSince = computed(() => {
  const { since, state } = source.value;
  const log = state === "waiting" ? (since ?? now.value) : undefined;
  const server = connection.value.state === "dead" ? connection.value.since : undefined;
  return log === undefined || server === undefined ? (log ?? server) : Math.min(log, server);
});
/** The same as a clock time. */
export const staleClock = computed(() =>
  staleSince.value === undefined ? undefined : formatTime(staleSince.value, zone.value, now.value),
);

/**
 * The time at which others are judged. What was online when something was last heard of it is not called offline because
 * this page, or its server, hears nothing.
 */
export const judgedAt = computed(() => staleSince.value ?? now.value);

export async function loadInfo(): Promise<void> {
  const answer = await ask<Info>("info");
  clock.heard(answer.time, performance.now());
  now.value = serverNow();
  info.value = answer;
  source.value = answer.source;
}

/** Goes to another view; the zone and, unless given anew, nothing else comes along. */
export function linkTo(target: Partial<Route> & Pick<Route, "view">): string {
  return formatRoute({ zone: route.value.zone, search: "", ...target });
}

/** Changes this view's address: a step that Back undoes, unless `replace`. */
export function go(target: Route, { replace = false }: { readonly replace?: boolean } = {}): void {
  const hash = formatRoute(target);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  route.value = parseRoute(hash);
}

export function startState(): void {
  const read = () => {
    route.value = parseRoute(location.hash);
  };
  addEventListener("hashchange", read);
  addEventListener("popstate", read);
  setInterval(() => {
    now.value = serverNow();
  }, 1000);
  effect(() => {
    document.documentElement.dataset.stale = String(staleSince.value !== undefined);
  });
}
