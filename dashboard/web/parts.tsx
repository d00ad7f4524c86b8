/** Small pieces that several views share. */
import type { ComponentChildren, JSX } from "preact";
import type { Alert, Device, Severity } from "../../events/schema.ts";
import { conditionOf, messageOf, neverFired, valueSince } from "./alert-text.core.ts";
import { formatAge, formatDuration, formatNumber, formatTime } from "./format.core.ts";
import { Icon, type IconName } from "./icons.tsx";
import { info, linkTo, now, staleClock, zone } from "./state.ts";

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
  if (neverFired(alert)) {
    return (
      <Badge tone="quiet" icon="quiet">
        Did not fire
      </Badge>
    );
  }
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

/** A name or a condition that is one word to whoever reads it: never broken where there is room for it on a line. */
export function Token({ children }: { readonly children: string }): JSX.Element {
  return (
    <span class="token" title={children}>
      {children}
    </span>
  );
}

/** The value at the alert's last change, and the one now: the first alone would look like the present. */
function AlertValue(props: {
  readonly alert: Alert;
  readonly device: Device | undefined;
}): JSX.Element {
  const { alert } = props;
  const value = <strong class="number">{formatNumber(alert.value)}</strong>;
  if (alert.state === "resolved") return value;
  const current = valueSince(alert, props.device);
  const then = alert.state === "firing" ? "when it fired" : "when it began";
  if (current === undefined) {
    return (
      <>
        {value} <span class="muted">{then}</span>
      </>
    );
  }
  return (
    <>
      <span class="muted">
        was <span class="number">{formatNumber(alert.value)}</span> {then},{" "}
        {staleClock.value === undefined ? "now" : `at ${staleClock.value}`}
      </span>{" "}
      <strong class="number">{formatNumber(current)}</strong>
    </>
  );
}

export function AlertItem(props: {
  readonly alert: Alert;
  /** As last heard, where the view knows it. */
  readonly device: Device | undefined;
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
              <span title={`The condition holds since ${formatTime(alert.since, zone.value, 0)}`}>
                since {formatTime(alert.changed, zone.value, now.value)}
              </span>{" "}
              · <Age time={alert.changed} />
            </>
          )}
        </span>
      </div>
      <p class="alert-what">
        {props.withDevice && <a href={alertLink(alert, false)}>{alert.device}</a>} {alert.metric}{" "}
        <AlertValue alert={alert} device={props.device} />
        <span class="muted">
          {" · "}
          <Token>{conditionOf(alert)}</Token>
        </span>
      </p>
      <p class="alert-rule muted">
        {messageOf(alert) && <span class="alert-message">{messageOf(alert)} </span>}
        <span>
          rule <Token>{alert.rule}</Token>
          {props.withDevice && (
            <>
              {" · "}
              <Token>{alert.gateway}</Token>
            </>
          )}
        </span>
      </p>
    </li>
  );
}

export function NoAlert(): JSX.Element {
  const past = staleClock.value;
  return (
    <p class="empty">
      {past === undefined
        ? "No alert is pending or firing."
        : `No alert was pending or firing at ${past}.`}
    </p>
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
