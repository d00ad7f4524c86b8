/** GET /live: who may listen, to what, and from where on. */
import type { FastifyReply, FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import { CHANGE_KINDS } from "../cloud/read-model/port.ts";
import { RESOLUTIONS, type Resolution } from "../events/schema.ts";
import { type ChangeKind, type LiveFilter, MAX_WATCHED_DEVICES } from "./live.core.ts";
import type { LiveHub } from "./live.ts";
import { Problem } from "./problems.ts";
import { SECURITY_HEADERS } from "./security-headers.ts";

/** What a page that says nothing gets: all but single readings and rollups, which only a chart can use. */
const DEFAULT_KINDS: readonly ChangeKind[] = ["gateway", "device", "alert", "ledger"];

export const liveQuerySchema = Type.Object({
  kind: Type.Optional(
    Type.Array(Type.Unsafe<ChangeKind>(Type.Enum([...CHANGE_KINDS])), {
      description: "may stand several times; default: gateway, device, alert, ledger",
      maxItems: CHANGE_KINDS.length,
    }),
  ),
  device: Type.Optional(
    Type.Array(Type.String({ pattern: "^[^/]+/.+$", maxLength: 256 }), {
      description:
        "`gateway/device`, with `/` and `%` in a name as `%2F` and `%25`; may stand several times; default: all",
      maxItems: MAX_WATCHED_DEVICES,
    }),
  ),
  resolution: Type.Optional(Type.Unsafe<Resolution>(Type.Enum([...RESOLUTIONS]))),
  others: Type.Optional(
    Type.Boolean({
      description: "count changing devices that `device` leaves out",
      default: false,
    }),
  ),
  last_event_id: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "as the Last-Event-ID header, for a page that opens a new EventSource",
    }),
  ),
});
export type LiveQuery = Static<typeof liveQuerySchema>;

function filterOf(query: LiveQuery): LiveFilter {
  return {
    kinds: new Set(query.kind ?? DEFAULT_KINDS),
    countOthers: query.others ?? false,
    ...(query.device ? { devices: new Set(query.device) } : {}),
    ...(query.resolution ? { resolution: query.resolution } : {}),
  };
}

export function handleLive(
  hub: LiveHub,
  request: FastifyRequest,
  reply: FastifyReply,
  query: LiveQuery,
): void {
  if (hub.full) {
    throw new Problem(
      503,
      "too_many_live_clients",
      "As many pages as the server allows are open. Close one, or raise max_live_clients.",
    );
  }
  const header = request.headers["last-event-id"];
  const lastEventId = typeof header === "string" ? header : query.last_event_id;
  reply.hijack();
  hub.attach(reply.raw, SECURITY_HEADERS, filterOf(query), lastEventId);
}
