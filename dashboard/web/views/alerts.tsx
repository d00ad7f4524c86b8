/** What fires, and what fired: every change of every alert, newest first, by day. */
import type { JSX } from "preact";
import type { Alert } from "../../../events/schema.ts";
import { conditionOf } from "../alert-text.core.ts";
import type { Fleet } from "../fleet.ts";
import { formatClock, formatDay, formatNumber } from "../format.core.ts";
import { AlertBadge, AlertItem, alertLink, NoAlert, Panel, Problem, Token } from "../parts.tsx";
import { RULES_EXAMPLE } from "../rules-example.ts";
import { staleClock, zone } from "../state.ts";

export function Timeline(props: {
  readonly changes: readonly Alert[];
  readonly withDevice: boolean;
}): JSX.Element {
  const days = new Map<string, Alert[]>();
  for (const change of props.changes) {
    const day = formatDay(change.changed, zone.value);
    const list = days.get(day) ?? [];
    list.push(change);
    days.set(day, list);
  }
  return (
    <>
      {[...days].map(([day, changes]) => (
        <section key={day} aria-label={day}>
          <h3 class="day">{day}</h3>
          <ol class="timeline">
            {changes.map((alert) => (
              <li key={`${alert.alert} ${alert.episode} ${alert.state} ${alert.changed}`}>
                <span class="number timeline-clock">{formatClock(alert.changed, zone.value)}</span>
                <AlertBadge alert={alert} />
                <span class="timeline-what">
                  <a href={alertLink(alert, true)}>
                    {props.withDevice ? `${alert.device} ${alert.metric}` : alert.metric}
                  </a>{" "}
                  <strong class="number">{formatNumber(alert.value)}</strong>
                  <span class="muted">
                    {" · "}
                    <Token>{conditionOf(alert)}</Token>
                  </span>
                  {alert.historical && <span class="tag">old data</span>}
                </span>
              </li>
            ))}
          </ol>
        </section>
      ))}
    </>
  );
}

export function AlertsView({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  const active = fleet.active.value;
  const history = fleet.history.value;
  return (
    <>
      <h1>Alerts</h1>
      <Problem text={fleet.error.value} />
      <div class="columns columns-even">
        <div class="column">
          <Panel
            title={`${staleClock.value === undefined ? "Now" : `At ${staleClock.value}`}${active.length > 0 ? ` (${active.length})` : ""}`}
            id="alerts-active"
          >
            {fleet.loaded.value && active.length === 0 && <NoAlert />}
            <ul class="alerts">
              {active.map((alert) => (
                <AlertItem
                  key={alert.alert}
                  alert={alert}
                  device={fleet.deviceOf(alert)}
                  withDevice
                />
              ))}
            </ul>
          </Panel>
        </div>
        <div class="column">
          <Panel title="History" id="alerts-history">
            {fleet.loaded.value && history.length === 0 && (
              <div class="empty">
                <p>No alert has changed yet. Alerts come from rules, in a file like this one:</p>
                <code class="command">{RULES_EXAMPLE}</code>
                <p>
                  Start with <code>--rules rules.yaml</code> to use it.
                </p>
              </div>
            )}
            <Timeline changes={history} withDevice />
            {fleet.moreHistory.value !== undefined && (
              <button type="button" class="more" onClick={() => void fleet.showMoreHistory()}>
                Show older
              </button>
            )}
          </Panel>
        </div>
      </div>
    </>
  );
}
