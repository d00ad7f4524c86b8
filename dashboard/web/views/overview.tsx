/** Is all well? If not, what? Then everything else. */
import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import type { Alert } from "../../../events/schema.ts";
import { neverFired } from "../alert-text.core.ts";
import type { Fleet } from "../fleet.ts";
import { Icon } from "../icons.tsx";
import { AlertItem, NoAlert, Panel, Problem, PublishHint } from "../parts.tsx";
import { judgedAt, linkTo, now, staleClock } from "../state.ts";
import { summarise } from "../summary.core.ts";
import { DevicesPanel } from "./devices.tsx";
import { GatewaysPanel } from "./gateways.tsx";
import { LedgerPanel } from "./ledger.tsx";

const RESOLVED_SHOWN = 2;
/** What was resolved longer ago than this is history, ms. */
const RESOLVED_FOR_MS = 3_600_000;

function AlertsPanel({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  const active = fleet.active.value;
  const names = new Set(active.map((alert) => alert.alert));
  const resolved = fleet.history.value
    .filter((alert) => alert.state === "resolved" && !neverFired(alert) && !names.has(alert.alert))
    .filter((alert) => now.value - alert.changed < RESOLVED_FOR_MS)
    .slice(0, RESOLVED_SHOWN);
  const item = (alert: Alert) => (
    <AlertItem
      key={`${alert.alert} ${alert.episode}`}
      alert={alert}
      device={fleet.deviceOf(alert)}
      withDevice
    />
  );
  const count = active.length > 0 ? ` (${active.length})` : "";
  return (
    <>
      <Panel
        title={`Alerts ${staleClock.value === undefined ? "now" : `at ${staleClock.value}`}${count}`}
        id="alerts-now"
        aside={<a href={linkTo({ view: { name: "alerts" } })}>History</a>}
      >
        {active.length === 0 && <NoAlert />}
        <ul class="alerts">{active.map(item)}</ul>
      </Panel>
      {resolved.length > 0 && (
        <Panel title="Just resolved" id="alerts-resolved">
          <ul class="alerts">{resolved.map(item)}</ul>
        </Panel>
      )}
    </>
  );
}

export function Overview({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  const summary = useComputed(() =>
    summarise(
      fleet.gatewayList.value,
      fleet.active.value,
      fleet.deviceTotal.value,
      judgedAt.value,
      staleClock.value,
    ),
  ).value;
  if (!fleet.loaded.value) {
    return (
      <>
        <h1 class="visually-hidden">Overview</h1>
        <Problem text={fleet.error.value} />
        <p class="empty">Loading …</p>
      </>
    );
  }
  const isEmpty = fleet.deviceTotal.value === 0 && fleet.devices.value.length === 0;
  return (
    <>
      <h1 class="visually-hidden">Overview</h1>
      <p class={`summary tone-${summary.tone}`} role="status">
        <Icon name={summary.tone} />
        <span>{summary.text}</span>
      </p>
      <Problem text={fleet.error.value} />
      {isEmpty && <PublishHint />}
      <div class="columns">
        <div class="column">
          {!(isEmpty && fleet.active.value.length === 0) && <AlertsPanel fleet={fleet} />}
          {(!isEmpty || fleet.devices.value.length > 0) && <DevicesPanel fleet={fleet} />}
        </div>
        <div class="column">
          {fleet.gatewayList.value.length > 0 && <GatewaysPanel fleet={fleet} />}
          {fleet.gatewayList.value.length > 0 && <LedgerPanel fleet={fleet} />}
        </div>
      </div>
      {isEmpty && fleet.gatewayList.value.length === 0 && (
        <p class="muted">
          No gateway has been heard yet either. <code>tidegate start</code> runs everything on this
          machine, <code>tidegate gateway</code> a gateway alone.
        </p>
      )}
    </>
  );
}
