/** The dashboard's settings, as a fragment of each program's configuration schema. */
import Type, { type Static } from "typebox";

export const dashboardConfigSchema = Type.Object(
  {
    heartbeat_interval_ms: Type.Integer({
      default: 2000,
      minimum: 200,
      maximum: 4000,
      description:
        "How often an open page hears from the server when nothing changes. A page calls the server dead after twice this, so 2000 keeps that under 5 s.",
    }),
    frame_interval_ms: Type.Integer({
      default: 250,
      minimum: 20,
      maximum: 5000,
      description: "Changes are gathered this long before they are pushed: 250 is 4 pushes/s.",
    }),
    max_live_clients: Type.Integer({
      default: 100,
      minimum: 1,
      description: "Open pages with live updates; one more is refused with 503 and tries again.",
    }),
    live_stall_timeout_ms: Type.Integer({
      default: 10_000,
      minimum: 100,
      description:
        "A page that takes nothing for this long is dropped and catches up with a new connection. Until then its changes are coalesced, not queued.",
    }),
  },
  { additionalProperties: false, default: {} },
);
export type DashboardConfig = Static<typeof dashboardConfigSchema>;

/** The settings as `createDashboardServer` and `dashboardRoutes` take them. */
export function dashboardOptionsOf(config: DashboardConfig) {
  return {
    heartbeatMs: config.heartbeat_interval_ms,
    frameMs: config.frame_interval_ms,
    maxLiveClients: config.max_live_clients,
    liveStallTimeoutMs: config.live_stall_timeout_ms,
  };
}
