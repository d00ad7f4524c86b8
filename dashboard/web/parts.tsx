/** Small pieces that several views share. */
import type { ComponentChildren, JSX } from "preact";
import type { Alert, Severity } from "../../events/schema.ts";
import { formatAge, formatDuration, formatNumber, formatTime } from "./format.core.ts";
import { Icon, type IconName } from "./icons.tsx";
import { info, linkTo, now, zone } from "./state.ts";

/** How long ago, moving each second; the exact time for who points at it. */
export function Age({ time }: { readonly time: number }): JSX.Element {
  return (
    <time
      class="age"
      dateTime={Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : ""}
      title={formatTime(time, zone.value, 0)}
    >
      {formatAge(now.value - time)}
    </time>
  );
}

export function Badge(props: {
  readonly tone: string;
  readonly icon: IconName;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <span class={`badge tone-${props.tone}`}>
      <Icon name={props.icon} />
      {props.children}
    </span>
  );
}

const SEVERITY_WORD: Readonly<Record<Severity, string>> = {
  info: "Info",
  warning: "Warning",
  critical: "Critical",
};
const STATE_WORD = { pending: "Pending", firing: "Firing", resolved: "Resolved" } as const;

export function AlertBadge({ alert }: { readonly alert: Alert }): JSX.Element {
  if (alert.state === "resolved") {
    return (
      <Badge tone="ok" icon="ok">
        {STATE_WORD.resolved}
      </Badge>
    );
  }
  const icon = alert.state === "pending" ? "pending" : alert.severity;
  return (
    <Badge tone={alert.state === "pending" ? "pending" : alert.severity} icon={icon}>
      {SEVERITY_WORD[alert.severity]}
      <span class="badge-state">{STATE_WORD[alert.state].toLowerCase()}</span>
    </Badge>
  );
}

/** The condition in words, without the metric that stands before the value anyway. */
export function conditionOf(alert: Alert): string {
  const metric = `${alert.metric} `;
  return alert.condition.startsWith(metric)
    ? alert.condition.slice(metric.length)
    : alert.condition;
}

/** The piece of time around an alert, so that its chart shows what came before. */
const AROUND_MS = 30 * 60_000;

export function alertLink(alert: Alert, aroundIt: boolean): string {
  const view = { name: "device", gateway: alert.gateway, device: alert.device } as const;
  if (!aroundIt) return linkTo({ view });
  const range = {
    from: Math.floor(alert.since - AROUND_MS),
    to: Math.ceil(Math.max(alert.changed, alert.since) + AROUND_MS),
  };
  return linkTo({ view, range });
}

export function AlertItem(props: {
  readonly alert: Alert;
  readonly withDevice: boolean;
}): JSX.Element {
  const { alert } = props;
  const held = alert.state === "resolved" ? alert.changed : now.value;
  return (
    <li
      class={`alert alert-${alert.state} tone-${alert.state === "resolved" ? "ok" : alert.severity}`}
    >
      <div class="alert-head">
        <AlertBadge alert={alert} />
        {alert.historical && (
          <span
            class="tag"
            title="The readings were older than the rule's freshness: nobody was called"
          >
            old data
          </span>
        )}
        <span class="alert-since">
          {alert.state === "resolved" ? (
            <>
              held {formatDuration(held - alert.since)}, resolved <Age time={alert.changed} />
            </>
          ) : (
            <>
              since {formatTime(alert.since, zone.value, now.value)} · <Age time={alert.since} />
            </>
          )}
        </span>
      </div>
      <p class="alert-what">
        {props.withDevice && <a href={alertLink(alert, false)}>{alert.device}</a>} {alert.metric}{" "}
        <strong class="number">{formatNumber(alert.value)}</strong>
        <span class="muted"> · {conditionOf(alert)}</span>
      </p>
      <p class="alert-rule muted">
        {alert.message && <span class="alert-message">{alert.message} </span>}
        <span>
          rule {alert.rule}
          {props.withDevice && ` · ${alert.gateway}`}
        </span>
      </p>
    </li>
  );
}

export function Panel(props: {
  readonly title: string;
  readonly id: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class="panel" aria-labelledby={props.id}>
      <header class="panel-head">
        <h2 id={props.id}>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** The command that publishes one reading of a device, as it works from where this page is looked at. */
export function publishCommand(device: string): string {
  const mqtt = info.value?.mqtt;
  const isEverywhere = !mqtt || ["0.0.0.0", "::", "localhost", "127.0.0.1"].includes(mqtt.host);
  const host = isEverywhere ? location.hostname : mqtt.host;
  const options = [
    ...(host === "localhost" || host === "127.0.0.1" ? [] : [`-h ${host}`]),
    ...(mqtt && mqtt.port !== 1883 ? [`-p ${mqtt.port}`] : []),
    "-q 1",
  ];
  return `mosquitto_pub ${options.join(" ")} -t sensors/${device} -m '{"temperature": -12.5}'`;
}

/** What to type to see a first reading. */
export function PublishHint(): JSX.Element {
  return (
    <div class="hint">
      <p>Publish a first reading with any MQTT client:</p>
      <code class="command">{publishCommand("freezer-1")}</code>
      <p class="muted">It appears here within a second. No reload is needed.</p>
    </div>
  );
}

export function Problem({ text }: { readonly text: string | undefined }): JSX.Element | null {
  if (!text) return null;
  return (
    <p class="problem" role="alert">
      <Icon name="warning" /> {text}
    </p>
  );
}
