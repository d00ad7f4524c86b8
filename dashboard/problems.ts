/** Errors of the API as problem details (RFC 9457), told apart by `code`; `detail` says what to do where it can. */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";

/** When a client may ask again that was told the read model is away, s. */
const RETRY_AFTER_S = 2;

export const PROBLEM_CODES = [
  "invalid_request",
  "not_found",
  "too_many_live_clients",
  "read_model_unavailable",
  "object_store_unavailable",
  "internal",
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export const problemSchema = Type.Object({
  type: Type.String({ description: "always `about:blank`: `code` tells problems apart" }),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.Unsafe<ProblemCode>(Type.Enum([...PROBLEM_CODES])),
  detail: Type.String(),
  instance: Type.Optional(Type.String()),
});
export type ProblemBody = Static<typeof problemSchema>;

const TITLES: Readonly<Record<ProblemCode, string>> = {
  invalid_request: "The request is not valid",
  not_found: "Not found",
  too_many_live_clients: "Too many open pages",
  read_model_unavailable: "The read model does not answer",
  object_store_unavailable: "The object store does not answer",
  internal: "Internal error",
};

/** A fault that the API answers with. Thrown in handlers. */
export class Problem extends Error {
  readonly status: number;
  readonly code: ProblemCode;
  constructor(status: number, code: ProblemCode, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }
}

export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  code: ProblemCode,
  detail: string,
): FastifyReply {
  const body: ProblemBody = {
    type: "about:blank",
    title: TITLES[code],
    status,
    code,
    detail,
    instance: request.url,
  };
  // Serialised here: Fastify would choose a route's response schema by status, and none describes this media type.
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/problem+json")
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(body);
}

/** Fastify's error handler for the API: what a client caused is told, what we caused is logged and not told. */
export function handleApiError(
  error: FastifyError | Problem | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error instanceof Problem) {
    if (error.status >= 500) request.log.warn({ err: error }, error.message);
    return sendProblem(request, reply, error.status, error.code, error.message);
  }
  // By name, as the error's class lives behind the read model's port.
  if (error.name === "ReadModelError") {
    request.log.warn({ err: error }, "the read model does not answer");
    reply.header("retry-after", RETRY_AFTER_S);
    const detail =
      "The store behind the dashboard does not answer now. It is tried again by itself.";
    return sendProblem(request, reply, 503, "read_model_unavailable", detail);
  }
  // By name too; a deadline is of the only thing that is asked with one.
  if (error.name === "ObjectStoreError" || error.name === "TimeoutError") {
    request.log.warn({ err: error }, "the object store does not answer");
    const detail = "The store of large payloads does not answer now. Ask again later.";
    return sendProblem(request, reply, 503, "object_store_unavailable", detail);
  }
  const status = "statusCode" in error ? (error.statusCode ?? 500) : 500;
  if (status < 500) return sendProblem(request, reply, status, "invalid_request", error.message);
  request.log.error({ err: error }, "a request to the dashboard's API failed");
  return sendProblem(
    request,
    reply,
    500,
    "internal",
    "The server could not answer; its log says why.",
  );
}
