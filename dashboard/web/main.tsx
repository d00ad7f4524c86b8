/** The page: header, the sign of a dead server, and the view that the address names. */
import "./language.ts";
import { effect, useComputed, useSignalEffect } from "@preact/signals";
import { type JSX, render } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { DeviceModel } from "./device-model.ts";
import { Fleet } from "./fleet.ts";
import { formatClock, formatDuration } from "./format.core.ts";
import { Icon, Mark } from "./icons.tsx";
import type { View } from "./route.core.ts";
import {
  connection,
  info,
  linkTo,
  loadInfo,
  now,
  route,
  source,
  staleClock,
  staleSince,
  startState,
  zone,
} from "./state.ts";
import "./style.css";
import { AlertsView } from "./views/alerts.tsx";
import { DeviceView } from "./views/device.tsx";
import { Overview } from "./views/overview.tsx";

/** The server's version is asked again after this when it did not answer, ms. */
const INFO_RETRY_MS = 3000;

function FleetView({ view }: { readonly view: "overview" | "alerts" }): JSX.Element {
  const fleet = useMemo(() => new Fleet(), []);
  useEffect(() => {
    fleet.start(route.value.search);
    return () => fleet.stop();
  }, [fleet]);
  useSignalEffect(() => fleet.search(route.value.search));
  return view === "alerts" ? <AlertsView fleet={fleet} /> : <Overview fleet={fleet} />;
}

function DevicePage(props: { readonly gateway: string; readonly device: string }): JSX.Element {
  const model = useMemo(
    () => new DeviceModel(props.gateway, props.device),
    [props.gateway, props.device],
  );
  useEffect(() => {
    model.start(route.value.range);
    return () => model.stop();
  }, [model]);
  useSignalEffect(() => model.setRange(route.value.range));
  return <DeviceView model={model} />;
}

function CurrentView({ view }: { readonly view: View }): JSX.Element {
  if (view.name !== "device") return <FleetView view={view.name} />;
  const key = `${view.gateway}/${view.device}`;
  return <DevicePage key={key} gateway={view.gateway} device={view.device} />;
}

function Live(): JSX.Element {
  const { state } = connection.value;
  const isAway = state === "live" && source.value.state === "waiting";
  const word = { live: "Live", dead: "No connection", connecting: "Connecting" }[state];
  return (
    <p class={`live live-${isAway ? "away" : state}`}>
      <span class="live-dot" aria-hidden="true" />
      {isAway ? "Event log away" : word}
      <span class="live-clock number">{formatClock(now.value, zone.value)}</span>
    </p>
  );
}

/** One sign for whatever keeps the page from being current: a server that is dead, or a log that it waits for. */
function NothingNew(): JSX.Element {
  const state = connection.value;
  return (
    <div role="alert">
      {state.state === "dead" && (
        <p class="dead">
          <Icon name="offline" />
          <span>
            <strong>No data since {formatClock(state.since, zone.value)}.</strong> The server does
            not answer; what you see is from then. This page calls it again by itself.
          </span>
        </p>
      )}
      {state.state !== "dead" && source.value.state === "waiting" && (
        <p class="dead" title={source.value.lastError}>
          <Icon name="offline" />
          <span>
            <strong>The event log does not answer since {staleClock.value}</strong>; everything
            below is as of then. It is asked again by itself, and nothing has to be reloaded.
          </span>
        </p>
      )}
    </div>
  );
}

function App(): JSX.Element {
  const view = useComputed(() => route.value.view).value;
  const tab = (name: "overview" | "alerts", label: string) => (
    <a href={linkTo({ view: { name } })} aria-current={view.name === name ? "page" : undefined}>
      {label}
    </a>
  );
  const since = staleSince.value === undefined ? 0 : now.value - staleSince.value;
  return (
    <>
      <button type="button" class="skip" onClick={skip}>
        Skip to content
      </button>
      <header class="top">
        <a
          class="brand"
          href={linkTo({ view: { name: "overview" } })}
          aria-label="Tidegate, overview"
        >
          <Mark />
          <span>Tidegate</span>
        </a>
        <nav aria-label="Views">
          {tab("overview", "Overview")}
          {tab("alerts", "Alerts")}
        </nav>
        <Live />
      </header>
      <NothingNew />
      <main id="main" tabIndex={-1} aria-busy={since > 0}>
        <CurrentView view={view} />
      </main>
      <footer class="foot muted small">
        Tidegate {info.value?.version} · namespace {info.value?.namespace ?? "…"}
        {since > 0 && ` · silent for ${formatDuration(since)}`}
      </footer>
    </>
  );
}

/** A button, not a link to an anchor: the address is the view, and a jump would leave it. */
function skip(): void {
  document.getElementById("main")?.focus();
}

function titleOf(view: View): string {
  if (view.name === "device") return `${view.device} · Tidegate`;
  return view.name === "alerts" ? "Alerts · Tidegate" : "Tidegate";
}

let lastTitle: string | undefined;
function onView(view: View): void {
  document.title = titleOf(view);
  // Whoever follows a link by keyboard or ear continues at the new view, not where the link was.
  if (lastTitle !== undefined && lastTitle !== document.title) {
    document.getElementById("main")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  lastTitle = document.title;
}

function askInfo(): void {
  loadInfo().catch(() => setTimeout(askInfo, INFO_RETRY_MS));
}

startState();
effect(() => onView(route.value.view));
askInfo();
const host = document.getElementById("app");
if (host) {
  host.replaceChildren();
  render(<App />, host);
}
