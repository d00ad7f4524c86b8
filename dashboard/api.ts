/** The JSON API over the read model: /api/v1. Read only; each route says its shapes by schema. */
import type { FastifyPluginAsync, FastifyPluginOptions, FastifyTypeProvider } from "fastify";
import type { Static, TSchema } from "typebox";
import type { Page, ReadModel } from "../cloud/read-model/port.ts";
import { contractFiles } from "../events/contract.ts";
import { type Alert, alertSchema, deviceSchema } from "../events/schema.ts";
import {
  alertHistoryQuerySchema,
  alertListSchema,
  contractIndexSchema,
  contractQuerySchema,
  DEFAULT_PAGE,
  deviceDetailSchema,
  deviceQuerySchema,
  devicesQuerySchema,
  gatewaysSchema,
  type Info,
  infoSchema,
  ledgerListSchema,
  objectParamsSchema,
  pageOf,
  seriesQuerySchema,
  seriesSchema,
} from "./api-schemas.ts";
import type { LiveHub } from "./live.ts";
import { handleLive, liveQuerySchema } from "./live-route.ts";
import { handleApiError, Problem, sendProblem } from "./problems.ts";
import { MAX_POINTS } from "./series.core.ts";
import { firstTime, readSeries } from "./series.ts";

/** Types of requests from the same schemas that check them. */
export interface TypeBoxProvider extends FastifyTypeProvider {
  readonly validator: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
  readonly serializer: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
}

/** Metrics whose beginning is looked up when a device is asked for; more would make a large machine's page slow. */
const FIRST_TIME_METRICS = 8;
/** Alert changes looked at for one answer about one device; `next` goes on from there. */
const HISTORY_SCAN = 2000;

export interface ApiOptions extends FastifyPluginOptions {
  readonly readModel: ReadModel;
  readonly hub: LiveHub;
  readonly info: () => Info;
  readonly objects: ObjectSource | undefined;
}

/** Where large payloads are: by their key. @returns undefined where there is none, and for what is no key */
export type ObjectSource = (key: string, signal: AbortSignal) => Promise<Uint8Array | undefined>;

/** The store may be another machine. */
const OBJECT_PATIENCE_MS = 30_000;

/**
 * What a device has sent is shown by nobody as a page of ours: it is saved as a file, and where a browser shows it all the
 * same, it is without rights.
 */
const OBJECT_HEADERS = {
  "content-type": "application/octet-stream",
  "content-security-policy": "default-src 'none'; sandbox",
  "x-content-type-options": "nosniff",
} as const;

/** Changes of one device's alerts. The read model keeps one history for all, so this reads through it page by page. */
async function deviceHistory(
  model: ReadModel,
  wanted: { gateway?: string; device?: string; limit: number; after?: string; alert?: string },
): Promise<Page<Alert>> {
  const items: Alert[] = [];
  let after = wanted.after;
  for (let scanned = 0; scanned < HISTORY_SCAN; ) {
    const page = await model.alertHistory({
      limit: Math.min(wanted.limit, 500),
      ...(after === undefined ? {} : { after }),
      ...(wanted.alert === undefined ? {} : { alert: wanted.alert }),
    });
    scanned += page.items.length;
    for (const alert of page.items) {
      if (wanted.gateway !== undefined && alert.gateway !== wanted.gateway) continue;
      if (wanted.device !== undefined && alert.device !== wanted.device) continue;
      items.push(alert);
    }
    after = page.next;
    if (after === undefined || items.length >= wanted.limit || page.items.length === 0) break;
  }
  return { items, total: items.length, ...(after === undefined ? {} : { next: after }) };
}

export const apiRoutes: FastifyPluginAsync<ApiOptions> = async (instance, options) => {
  const { readModel, hub, info, objects } = options;
  instance.setErrorHandler(handleApiError);
  instance.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, 404, "not_found", `There is no ${request.method} ${request.url}.`),
  );
  instance.addHook("onSend", async (_request, reply) => {
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
  });
  const api = instance.withTypeProvider<TypeBoxProvider>();

  api.get("/info", { schema: { response: { 200: infoSchema } } }, async () => info());

  api.get("/gateways", { schema: { response: { 200: gatewaysSchema } } }, async () => ({
    items: (await readModel.gateways()).map(({ sharedBy, ...view }) =>
      sharedBy ? { ...view, sharedBy: [...sharedBy] } : view,
    ),
  }));

  api.get(
    "/devices",
    { schema: { querystring: devicesQuerySchema, response: { 200: pageOf(deviceSchema) } } },
    async (request) => {
      const page = await readModel.devices({
        ...request.query,
        limit: request.query.limit ?? DEFAULT_PAGE,
      });
      return { ...page, items: [...page.items] };
    },
  );

  api.get(
    "/device",
    { schema: { querystring: deviceQuerySchema, response: { 200: deviceDetailSchema } } },
    async (request) => {
      const { gateway, device: name } = request.query;
      const device = await readModel.device(gateway, name);
      if (!device) {
        throw new Problem(404, "not_found", `No device ${gateway}/${name} was ever heard.`);
      }
      const metrics = Object.entries(device.metrics)
        .filter(([, last]) => typeof last.value === "number")
        .slice(0, FIRST_TIME_METRICS)
        .map(([metric]) => metric);
      const first = await firstTime(readModel, gateway, name, metrics);
      return { device, ...(first === undefined ? {} : { first }) };
    },
  );

  api.get(
    "/series",
    { schema: { querystring: seriesQuerySchema, response: { 200: seriesSchema } } },
    async (request) => {
      const { resolution, limit, ...query } = request.query;
      if (query.from >= query.to) {
        throw new Problem(400, "invalid_request", "`from` has to be before `to`.");
      }
      return readSeries(readModel, { ...query, limit: limit ?? MAX_POINTS }, resolution ?? "auto");
    },
  );

  api.get("/alerts", { schema: { response: { 200: alertListSchema } } }, async () => ({
    items: [...(await readModel.activeAlerts())],
  }));

  api.get(
    "/alerts/history",
    { schema: { querystring: alertHistoryQuerySchema, response: { 200: pageOf(alertSchema) } } },
    async (request) => {
      const { gateway, device, ...query } = request.query;
      const wanted = { ...query, limit: query.limit ?? DEFAULT_PAGE };
      const page =
        gateway === undefined && device === undefined
          ? await readModel.alertHistory(wanted)
          : await deviceHistory(readModel, { ...request.query, limit: wanted.limit });
      return { ...page, items: [...page.items] };
    },
  );

  api.get("/ledger", { schema: { response: { 200: ledgerListSchema } } }, async () => ({
    items: [...(await readModel.ledger())],
  }));

  const contract = contractFiles();
  api.get("/schemas", { schema: { response: { 200: contractIndexSchema } } }, async () => ({
    items: contract.map(({ name, mediaType }) => ({ name, mediaType })),
  }));

  api.get("/schemas/:name", { schema: { params: contractQuerySchema } }, async (request, reply) => {
    const file = contract.find(({ name }) => name === request.params.name);
    if (!file) throw new Problem(404, "not_found", `There is no schema ${request.params.name}.`);
    // The same for every version of the program that is out: worth keeping, and asking for again after an upgrade.
    return reply.header("cache-control", "max-age=3600").type(file.mediaType).send(file.text);
  });

  api.get("/objects/*", { schema: { params: objectParamsSchema } }, async (request, reply) => {
    const key = request.params["*"];
    const object = await objects?.(key, AbortSignal.timeout(OBJECT_PATIENCE_MS));
    if (!object) throw new Problem(404, "not_found", `There is no object ${key}.`);
    const name = key.slice(key.lastIndexOf("/") + 1).replaceAll(/[^A-Za-z0-9_.-]/g, "_");
    return reply
      .headers(OBJECT_HEADERS)
      .header("content-disposition", `attachment; filename="${name}"`)
      .send(object);
  });

  api.get("/live", { schema: { querystring: liveQuerySchema } }, (request, reply) =>
    handleLive(hub, request, reply, request.query),
  );
};
