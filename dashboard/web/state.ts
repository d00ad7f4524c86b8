/** What all views share: where we are, what time it is, whether the server lives. */
import { computed, effect, signal } from "@preact/signals";
import { ask } from "./api.ts";
import type { Info } from "./api-types.ts";
import { ServerClock } from "./clock.core.ts";
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

/**
 * The time at which others are judged. While the server is dead nothing can be known of anybody: what was online when it
 * was last heard is not called offline because this page hears nothing.
 */
export const judgedAt = computed(() =>
  connection.value.state === "dead" ? connection.value.since : now.value,
);

export async function loadInfo(): Promise<void> {
  const answer = await ask<Info>("info");
  clock.heard(answer.time, performance.now());
  now.value = serverNow();
  info.value = answer;
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
    document.documentElement.dataset.connection = connection.value.state;
  });
}
