/**
 * One signed request to an S3 service, with a deadline that counts from the last byte that moved: a slow link is no dead one.
 * Signing is aws4fetch's; the connection is Node's own, for a CA of our own and for bytes that go out at a pace.
 */
import { createHash } from "node:crypto";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { type RequestOptions, request as tlsRequest } from "node:https";
import { AwsV4Signer } from "aws4fetch";
import type { Pace } from "./port.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface S3Call {
  readonly method: "PUT" | "GET" | "HEAD" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly pace?: Pace | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface S3Connection {
  readonly region: string;
  readonly credentials: S3Credentials;
  /** PEM; default the CAs that Node trusts. */
  readonly ca?: string | undefined;
  /** Without a byte for so long it is given up, ms. */
  readonly idleMs: number;
}

/** What goes out between two looks at the pace. */
const SLICE_BYTES = 16 * 1024;
const EMPTY = Buffer.alloc(0);
/** Of an answer that is not an object nobody needs more. */
const MAX_ERROR_BYTES = 64 * 1024;

/** @throws Node's errors, or the signal's reason */
export async function callS3(
  connection: S3Connection,
  call: S3Call,
  signal: AbortSignal,
): Promise<S3Answer> {
  const { body = EMPTY, url, method } = call;
  const signed = await new AwsV4Signer({
    method,
    url: url.href,
    service: "s3",
    region: connection.region,
    ...connection.credentials,
    headers: {
      ...call.headers,
      // Signed with everything else, so that the service refuses bytes that changed on the way.
      "x-amz-content-sha256": createHash("sha256").update(body).digest("hex"),
    },
  } as ConstructorParameters<typeof AwsV4Signer>[0]).sign();
  const headers: Record<string, string> = Object.fromEntries(signed.headers);
  // Node and the signer agree on it.
  delete headers.host;
  headers["content-length"] = String(body.length);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options: RequestOptions = { method, headers, signal, timeout: connection.idleMs };
  const secure = url.protocol === "https:";
  if (secure && connection.ca !== undefined) options.ca = connection.ca;
  const request = (secure ? tlsRequest : plainRequest)(signed.url, options);
  request.on("response", resolve);
  request.on("error", reject);
  request.on("timeout", () =>
    request.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })),
  );
  const sending = send(request, body, call.pace, signal, promise).catch((error: Error) => {
    request.destroy(error);
    reject(error);
  });
  const answer = await promise;
  const chunks: Buffer[] = [];
  let size = 0;
  const limit = answer.statusCode === 200 ? Number.POSITIVE_INFINITY : MAX_ERROR_BYTES;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  }
  await sending;
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
}

async function send(
  request: ReturnType<typeof plainRequest>,
  body: Buffer,
  pace: Pace | undefined,
  signal: AbortSignal,
  answered: Promise<unknown>,
): Promise<void> {
  let over = false;
  const stop = () => {
    over = true;
  };
  answered.then(stop, stop);
  for (let at = 0; at < body.length && !over; at += SLICE_BYTES) {
    const slice = body.subarray(at, at + SLICE_BYTES);
    await pace?.(slice.length, signal);
    if (request.write(slice)) continue;
    const drained = new Promise<void>((resolve) => request.once("drain", resolve));
    // A service that refuses answers before it has read all; then nothing drains any more.
    await Promise.race([drained, answered.catch(() => undefined)]);
  }
  request.end();
}
