/** A small plant for a fake read model: cold rooms, an office, a pump, with faults; moves on by `step`. */

import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { Alert, MetricValue } from "../../events/schema.ts";
import type { FakeReadModel } from "./fake-read-model.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type Signals = Readonly<Record<string, (time: number) => MetricValue>>;

/** Noise that a time always gives alike, -1..1. */
function noise(time: number, salt: number): number {
  const x = Math.sin(time * 0.001 * (12.9898 + salt)) * 43758.5453;
  return (x - Math.floor(x)) * 2 - 1;
}
const daily = (time: number) => Math.sin(((time % (24 * HOUR)) / (24 * HOUR)) * 2 * Math.PI - 2);
const cycle = (time: number, minutes: number) =>
  Math.sin((time / (minutes * MINUTE)) * 2 * Math.PI);

export const PLANT: readonly { gateway: string; device: string; signals: Signals }[] = [
  {
    gateway: "harbour",
    device: "freezer-1",
    signals: {
      temperature: (t) => -13.6 + 1.1 * cycle(t, 37) + 0.25 * noise(t, 1),
      door_open: (t) => cycle(t, 37) > 0.97,
    },
  },
  {
    gateway: "harbour",
    device: "freezer-2",
    signals: { temperature: (t) => -19.2 + 0.8 * cycle(t, 41) + 0.2 * noise(t, 2) },
  },
  {
    gateway: "harbour",
    device: "cold-room",
    signals: {
      temperature: (t) => 3.4 + 0.6 * cycle(t, 53) + 0.15 * noise(t, 3),
      humidity: (t) => 78 + 5 * daily(t) + noise(t, 4),
    },
  },
  {
    gateway: "harbour",
    device: "pump-3",
    signals: {
      pressure_bar: (t) => 4.2 + 0.3 * cycle(t, 11) + 0.05 * noise(t, 5),
      flow_l_min: (t) => 182 + 22 * cycle(t, 11) + 4 * noise(t, 6),
      vibration_mm_s: (t) => 1.8 + 0.4 * Math.abs(noise(t, 7)),
      state: (t) => (cycle(t, 240) > -0.9 ? "running" : "standby"),
    },
  },
  {
    gateway: "office-north",
    device: "meeting-room",
    signals: {
      temperature: (t) => 21.4 + 1.5 * daily(t) + 0.1 * noise(t, 8),
      humidity: (t) => 39 + 4 * daily(t + 3 * HOUR) + 0.5 * noise(t, 9),
      co2: (t) => Math.round(640 + 260 * Math.max(0, daily(t)) + 14 * noise(t, 10)),
      light: (t) => Math.round(Math.max(0, 420 * daily(t)) + 6),
    },
  },
  {
    gateway: "office-north",
    device: "kitchen",
    signals: { temperature: (t) => 22.1 + 1.2 * daily(t) + 0.2 * noise(t, 11) },
  },
];

function gatewayView(
  gateway: string,
  time: number,
  more: Partial<GatewayView["totals"]>,
): GatewayView {
  const accepted = 184_220;
  const totals = {
    accepted,
    arrived: accepted - (more.missing ?? 0) - (more.onTheWay ?? 0) - (more.declaredLost ?? 0),
    onTheWay: 0,
    missing: 0,
    duplicates: 0,
    declaredLost: 0,
    ...more,
  };
  return {
    gateway,
    lastEvent: time,
    totals,
    status: {
      gateway,
      time,
      epoch: "7m2kq9x4tb",
      accepted,
      forwarded: accepted - totals.onTheWay,
      buffered_bytes: 240_000 + totals.onTheWay * 180,
      capacity_bytes: 256 * 1024 * 1024,
      clients: 4,
      rejected: more.duplicates === undefined ? 0 : 3,
      interval: 10_000,
      started: time - 31 * HOUR,
      version: "0.1.0",
    },
  };
}

function alertOf(device: string, state: Alert["state"], value: number, since: number): Alert {
  return {
    alert: `freezer-warm/harbour/${device}/temperature`,
    episode: `7m2kq9x4tb-${Math.round(since / 1000)}`,
    rule: "freezer-warm",
    gateway: "harbour",
    device,
    metric: "temperature",
    state,
    severity: "critical",
    condition: "temperature above -15 for 0s",
    threshold: -15,
    value,
    since,
    changed: state === "resolved" ? since + 9 * MINUTE : since,
    historical: false,
    ...(state === "resolved" ? { fired: true } : {}),
    message:
      state === "resolved"
        ? `${device}: temperature is ${value}, no longer above -15`
        : `${device}: temperature ${value} is above -15`,
  };
}

/** Fills the model with `hours` of history up to `now`, a hole of 40 minutes in it. */
export function fillPlant(model: FakeReadModel, now: number, hours = 30): void {
  const silent = { silent: true };
  for (const { gateway, device, signals } of PLANT) {
    const end = device === "kitchen" ? now - 47 * MINUTE : now;
    for (let time = now - hours * HOUR; time <= end; time += time > now - HOUR ? 5000 : MINUTE) {
      if (time > now - 3.4 * HOUR && time < now - 2.7 * HOUR) continue;
      const metrics = Object.fromEntries(Object.entries(signals).map(([m, f]) => [m, f(time)]));
      model.addReading(gateway, device, time, metrics, silent);
    }
  }
  model.setGateway(gatewayView("harbour", now - 3000, { duplicates: 12 }), silent);
  model.setGateway(
    gatewayView("office-north", now - 94_000, { onTheWay: 1840, missing: 15, declaredLost: 220 }),
    silent,
  );
  model.setGateway(
    {
      gateway: "gw-4k7t9m2x",
      totals: { accepted: 0, arrived: 0, onTheWay: 0, missing: 0, duplicates: 0, declaredLost: 0 },
    },
    silent,
  );
  model.setLedger(
    {
      gateway: "harbour",
      epoch: "7m2kq9x4tb",
      received: [[1, 184_220]],
      declared_lost: [],
      missing: [],
      duplicates: 12,
      accepted: 184_220,
    },
    silent,
  );
  model.setLedger(
    {
      gateway: "office-north",
      epoch: "h3vd81zc0p",
      received: [
        [1, 90_119],
        [90_135, 182_380],
      ],
      declared_lost: [[61_000, 61_219]],
      missing: [[90_120, 90_134]],
      duplicates: 0,
      accepted: 184_220,
    },
    silent,
  );
  for (const hoursAgo of [26, 19, 8, 5]) {
    const since = now - hoursAgo * HOUR;
    model.addAlert(alertOf("freezer-2", "firing", -14.2, since), silent);
    model.addAlert(alertOf("freezer-2", "resolved", -16.3, since), silent);
  }
  model.addAlert(alertOf("freezer-1", "firing", -12.5, now - 14 * MINUTE), silent);
  model.addAlert(
    {
      ...alertOf("cold-room", "pending", 81.7, now - 2 * MINUTE),
      alert: "humid/harbour/cold-room/humidity",
      rule: "humid",
      metric: "humidity",
      severity: "warning",
      condition: "humidity above 80 for 5m",
      threshold: 80,
      message: "cold-room: humidity 81.7 is above 80",
    },
    silent,
  );
}

/** One moment of the plant: a reading of each device that is awake, and the gateways' word. */
export function stepPlant(model: FakeReadModel, now: number): void {
  for (const { gateway, device, signals } of PLANT) {
    if (device === "kitchen") continue;
    const metrics = Object.fromEntries(Object.entries(signals).map(([m, f]) => [m, f(now)]));
    model.addReading(gateway, device, now, metrics);
  }
}
