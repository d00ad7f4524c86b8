/** One device: what it said last, how its metrics went, what was wrong with it. */
import type { JSX } from "preact";
import type { Alert, Device } from "../../../events/schema.ts";
import { apiUrl } from "../api.ts";
import { Chart, type Threshold } from "../chart.tsx";
import { CHARTS_AT_FIRST, type DeviceModel } from "../device-model.ts";
import {
  formatBytes,
  formatCount,
  formatDay,
  formatNumber,
  formatTime,
  formatValue,
} from "../format.core.ts";
import { Age, AlertItem, Panel, Problem, publishCommand } from "../parts.tsx";
import { RANGES, type Range } from "../route.core.ts";
import { go, info, linkTo, now, route, zone } from "../state.ts";
import { Timeline } from "./alerts.tsx";

/** Choosing less than this by dragging is a slip of the hand, ms. */
const SMALLEST_ZOOM_MS = 1000;

const RANGE_WORD: Readonly<Record<(typeof RANGES)[number], string>> = {
  "15m": "15 min",
  "1h": "1 h",
  "6h": "6 h",
  "24h": "24 h",
  "7d": "7 d",
  "30d": "30 d",
  all: "All data",
};

function show(range: Range): void {
  go({ ...route.value, range });
}

function RangeBar({ model }: { readonly model: DeviceModel }): JSX.Element {
  const range = model.range.value;
  const { from, to } = model.bounds(now.value);
  const span = to - from;
  const move = (by: number) => show({ from: Math.floor(from + by), to: Math.ceil(to + by) });
  const label =
    formatDay(from, zone.value) === formatDay(to, zone.value)
      ? `${formatTime(from, zone.value, 0)} – ${formatTime(to, zone.value, to)}`
      : `${formatTime(from, zone.value, 0)} – ${formatTime(to, zone.value, 0)}`;
  return (
    <div class="range-bar">
      <fieldset class="ranges">
        <legend class="visually-hidden">Time range</legend>
        {RANGES.map((name) => (
          <button type="button" key={name} aria-pressed={range === name} onClick={() => show(name)}>
            {RANGE_WORD[name]}
          </button>
        ))}
      </fieldset>
      <fieldset class="ranges">
        <legend class="visually-hidden">Move in time</legend>
        <button type="button" aria-label="Earlier" title="Earlier" onClick={() => move(-span / 2)}>
          ←
        </button>
        <button
          type="button"
          aria-label="Zoom in"
          title="Zoom in"
          onClick={() => show({ from: Math.floor(from + span / 4), to: Math.ceil(to - span / 4) })}
        >
          +
        </button>
        <button
          type="button"
          aria-label="Zoom out"
          title="Zoom out"
          onClick={() => show({ from: Math.floor(from - span / 2), to: Math.ceil(to + span / 2) })}
        >
          −
        </button>
        <button type="button" aria-label="Later" title="Later" onClick={() => move(span / 2)}>
          →
        </button>
      </fieldset>
      <p class="range-label muted number">{label}</p>
    </div>
  );
}

/** One line for each rule that ever looked at this metric, the active ones first. */
function thresholdsOf(model: DeviceModel, metric: string): readonly Threshold[] {
  const found = new Map<string, Threshold>();
  const add = (alert: Alert, isActive: boolean) => {
    const key = `${alert.rule} ${alert.threshold}`;
    if (alert.metric !== metric || found.has(key)) return;
    const label = `${alert.rule} ${formatNumber(alert.threshold)}`;
    found.set(key, { value: alert.threshold, label, severity: alert.severity, isActive });
  };
  for (const alert of model.active.value) add(alert, true);
  for (const alert of model.history.value) add(alert, false);
  return [...found.values()];
}

/** What the device sent is offered as a file, never shown: it is nothing of ours. */
function LastPayload({
  device,
  payload,
}: {
  readonly device: Device;
  readonly payload: NonNullable<Device["payload"]>;
}): JSX.Element {
  const { size, content_type: type, key, ref, sha256, time } = payload;
  const what = `${formatBytes(size)}${type === undefined ? "" : ` ${type}`}`;
  return (
    <p class="muted" title={`SHA-256 ${sha256}`}>
      last payload <Age time={time} /> ·{" "}
      {info.value?.objects ? (
        <a href={apiUrl(`objects/${key}`)} download>
          {what}
        </a>
      ) : (
        `${what}, ${ref}`
      )}{" "}
      · {formatCount(device.payloads ?? 1)} payloads
    </p>
  );
}

function NothingHere({ model }: { readonly model: DeviceModel }): JSX.Element | null {
  const device = model.device.value;
  const { from, to } = model.bounds(now.value);
  const hasPoints = [...model.charts.value.values()].some((data) =>
    data.times.some((time, i) => data.values[i] !== null && time >= from && time <= to),
  );
  if (!device || hasPoints || !model.chartsLoaded.value || model.charts.value.size === 0) {
    return null;
  }
  return (
    <p class="notice">
      No readings in this range. The newest is of{" "}
      {formatTime(device.last_seen, zone.value, now.value)}.{" "}
      <button type="button" onClick={() => show("all")}>
        Show all data
      </button>
    </p>
  );
}

function Charts({ model }: { readonly model: DeviceModel }): JSX.Element {
  const { from, to } = model.bounds(now.value);
  const metrics = [...model.charts.value.keys()];
  const hidden = model.numericMetrics().length - metrics.length;
  return (
    <>
      <NothingHere model={model} />
      <div class="charts">
        {metrics.map((metric) => {
          const data = model.charts.value.get(metric);
          if (!data) return null;
          return (
            <Chart
              key={metric}
              metric={metric}
              data={data}
              from={from}
              to={to}
              zone={zone.value}
              thresholds={thresholdsOf(model, metric)}
              onZoom={(start, end) => {
                if (end - start >= SMALLEST_ZOOM_MS) show({ from: start, to: end });
              }}
            />
          );
        })}
      </div>
      {hidden > 0 && model.chartsLoaded.value && (
        <button type="button" class="more" onClick={() => model.showAllCharts()}>
          Show all charts ({CHARTS_AT_FIRST} of {model.numericMetrics().length})
        </button>
      )}
    </>
  );
}

export function DeviceView({ model }: { readonly model: DeviceModel }): JSX.Element {
  const device = model.device.value;
  const title = (
    <div class="title">
      <p class="crumb">
        <a href={linkTo({ view: { name: "overview" } })}>Overview</a> / {model.gateway}
      </p>
      <h1>{model.name}</h1>
      {device && (
        <p class="muted">
          last reading <Age time={device.last_seen} /> · {formatCount(device.readings)} readings
        </p>
      )}
      {device?.payload && <LastPayload device={device} payload={device.payload} />}
    </div>
  );
  if (!device) {
    return (
      <>
        {title}
        {model.unknown.value ? (
          <div class="empty">
            <p>This device was never heard. Once it publishes, it appears here:</p>
            <code class="command">{publishCommand(model.name)}</code>
          </div>
        ) : (
          <Problem text={model.error.value} />
        )}
      </>
    );
  }
  const toggled = zone.value === "utc" ? "local" : "utc";
  return (
    <>
      {title}
      <Problem text={model.error.value} />
      <dl class="tiles">
        {Object.entries(device.metrics).map(([metric, last]) => (
          <div class="tile" key={metric}>
            <dt>{metric}</dt>
            <dd>
              <span class="tile-value number" title={String(last.value)}>
                {formatValue(last.value)}
              </span>
              <Age time={last.time} />
            </dd>
          </div>
        ))}
      </dl>
      {model.active.value.length > 0 && (
        <ul class="alerts alerts-device">
          {model.active.value.map((alert) => (
            <AlertItem
              key={alert.alert}
              alert={alert}
              device={model.device.value}
              withDevice={false}
            />
          ))}
        </ul>
      )}
      {model.numericMetrics().length > 0 && (
        <section class="panel" aria-labelledby="charts">
          <h2 id="charts" class="visually-hidden">
            Charts
          </h2>
          <RangeBar model={model} />
          <Charts model={model} />
          <p class="muted small zone">
            Times are {zone.value === "utc" ? "UTC" : "this browser's"}.{" "}
            <button
              type="button"
              class="link"
              onClick={() => go({ ...route.value, zone: toggled }, { replace: true })}
            >
              {toggled === "utc" ? "Show UTC" : "Show local time"}
            </button>
          </p>
        </section>
      )}
      <Panel title="Alert history" id="device-alerts">
        {model.history.value.length === 0 ? (
          <p class="empty">No alert of this device has changed yet.</p>
        ) : (
          <Timeline changes={model.history.value} withDevice={false} />
        )}
      </Panel>
    </>
  );
}
