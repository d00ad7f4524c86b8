/** Devices with their last values and how old those are; the fleet is never loaded whole. */
import type { JSX, TargetedInputEvent } from "preact";
import { deviceKey } from "../../../events/ids.ts";
import type { Alert, Device } from "../../../events/schema.ts";
import type { Fleet } from "../fleet.ts";
import { formatCount, formatDuration, formatValue } from "../format.core.ts";
import { DEVICE_QUIET_MS } from "../link.core.ts";
import { Age, AlertBadge, Badge, Panel, Token } from "../parts.tsx";
import { go, judgedAt, linkTo, route } from "../state.ts";

const METRICS_SHOWN = 4;
/** Typing pauses this long before the server is asked, ms. */
const TYPING_MS = 250;

function DeviceState(props: { readonly device: Device; readonly alert: Alert | undefined }) {
  if (props.alert) return <AlertBadge alert={props.alert} />;
  const quiet = judgedAt.value - props.device.last_seen;
  if (quiet > DEVICE_QUIET_MS) {
    return (
      <span title={`No reading for more than ${formatDuration(DEVICE_QUIET_MS)}`}>
        <Badge tone="quiet" icon="quiet">
          Quiet
        </Badge>
      </span>
    );
  }
  return (
    <Badge tone="ok" icon="ok">
      Reporting
    </Badge>
  );
}

function DeviceRow(props: {
  readonly device: Device;
  readonly alert: Alert | undefined;
  readonly withGateway: boolean;
}): JSX.Element {
  const { device } = props;
  const metrics = Object.entries(device.metrics);
  const more = metrics.length - METRICS_SHOWN;
  const view = { name: "device", gateway: device.gateway, device: device.device } as const;
  return (
    <li class="device">
      <div class="device-name">
        <a href={linkTo({ view })}>{device.device}</a>
        {props.withGateway && (
          <span class="muted small">
            <Token>{device.gateway}</Token>
          </span>
        )}
      </div>
      <dl class="values">
        {metrics.slice(0, METRICS_SHOWN).map(([metric, last]) => (
          <div key={metric} class="value">
            <dt>{metric}</dt>
            <dd class="number" title={String(last.value)}>
              {formatValue(last.value)}
            </dd>
          </div>
        ))}
        {more > 0 && (
          <div class="value value-more">
            <dt class="visually-hidden">more</dt>
            <dd>+{more}</dd>
          </div>
        )}
      </dl>
      <div class="device-state">
        <DeviceState device={device} alert={props.alert} />
        <Age time={device.last_seen} />
      </div>
    </li>
  );
}

let typing: ReturnType<typeof setTimeout> | undefined;

export function DevicesPanel({ fleet }: { readonly fleet: Fleet }): JSX.Element {
  const devices = fleet.devices.value;
  const total = fleet.deviceTotal.value;
  const worst = new Map<string, Alert>();
  for (const alert of fleet.active.value) {
    const key = deviceKey(alert.gateway, alert.device);
    // Sorted by urgency, so the first of a device is the one to show.
    if (!worst.has(key) && !alert.historical) worst.set(key, alert);
  }
  const gateways = new Set(devices.map((device) => device.gateway)).size;
  const search = route.value.search;
  const onInput = (event: TargetedInputEvent<HTMLInputElement>) => {
    const text = event.currentTarget.value;
    clearTimeout(typing);
    typing = setTimeout(() => go({ ...route.value, search: text }, { replace: true }), TYPING_MS);
  };
  return (
    <Panel
      title={`Devices (${formatCount(total)})`}
      id="devices"
      aside={
        <input
          type="search"
          class="search"
          placeholder="Search"
          aria-label="Search devices"
          value={search}
          onInput={onInput}
        />
      }
    >
      {devices.length === 0 && search !== "" && (
        <p class="empty">No device or gateway has “{search}” in its name.</p>
      )}
      <ul class="devices">
        {devices.map((device) => {
          const key = deviceKey(device.gateway, device.device);
          return (
            <DeviceRow
              key={key}
              device={device}
              alert={worst.get(key)}
              withGateway={gateways > 1 || search !== ""}
            />
          );
        })}
      </ul>
      {fleet.moreDevices.value !== undefined && (
        <button type="button" class="more" onClick={() => void fleet.showMoreDevices()}>
          Show more ({formatCount(devices.length)} of {formatCount(total)})
        </button>
      )}
    </Panel>
  );
}
