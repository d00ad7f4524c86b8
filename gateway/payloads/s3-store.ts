/**
 * An object store that speaks S3. An object is taken for durable once the service has acknowledged it under the SHA-256 that
 * went with it, or, where it tells none, says afterwards that it has that many bytes.
 *
 * One request an object: multipart uploads begin to pay beyond what a payload may have.
 */
import { X509Certificate } from "node:crypto";
import { type ObjectStore, ObjectStoreError, type Pace, type StoreObject } from "./port.ts";
import { callS3, type S3Answer, type S3Call, type S3Credentials } from "./s3-request.ts";

export interface S3StoreOptions {
  /** `https://host[:port]`. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Begins the name of every object, e.g. `plant-7/`. */
  readonly prefix: string;
  /** The bucket in the path and not in the host's name. */
  readonly pathStyle: boolean;
  /** Asked for each request: a file may have others by then. */
  readonly credentials: () => S3Credentials;
  /** PEM. */
  readonly ca?: () => string | undefined;
  /** Begins the URI of every object; default `s3://bucket/prefix`. */
  readonly baseUrl?: string | undefined;
  readonly idleMs?: number;
}

const IDLE_MS = 30_000;

export class S3Store implements ObjectStore {
  readonly kind = "s3";
  readonly #options: S3StoreOptions;

  constructor(options: S3StoreOptions) {
    this.#options = options;
  }

  get place(): string {
    const { endpoint, bucket, prefix } = this.#options;
    return `s3://${bucket}/${prefix} at ${new URL(endpoint).host}`;
  }

  refOf(key: string): string {
    const { baseUrl, bucket, prefix } = this.#options;
    return baseUrl === undefined
      ? `s3://${bucket}/${prefix}${key}`
      : baseUrl.replace(/\/?$/, "/") + key;
  }

  async put(object: StoreObject, signal: AbortSignal, pace?: Pace): Promise<void> {
    const checksum = Buffer.from(object.sha256, "hex").toString("base64");
    const answer = await this.#call(
      {
        method: "PUT",
        url: this.#url(object.key),
        headers: {
          "content-type": object.contentType ?? "application/octet-stream",
          "x-amz-checksum-sha256": checksum,
        },
        body: object.bytes,
        pace,
      },
      signal,
    );
    this.#check(answer, object.key);
    const told = answer.headers["x-amz-checksum-sha256"];
    if (told === checksum) return;
    if (told !== undefined) throw corrupt(object.key, "another SHA-256");
    const head = await this.#call({ method: "HEAD", url: this.#url(object.key) }, signal);
    this.#check(head, object.key);
    const length = Number(head.headers["content-length"]);
    if (length !== object.bytes.length) throw corrupt(object.key, `${length} bytes`);
  }

  async get(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const answer = await this.#call({ method: "GET", url: this.#url(key) }, signal);
    // Nothing else says that it is not there: a payload may be declared lost by it.
    if (answer.status === 404 && codeOf(answer) === "NoSuchKey") return undefined;
    this.#check(answer, key);
    return answer.body;
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ method: "DELETE", url: this.#url(key) }, signal);
    if (codeOf(answer) !== "NoSuchKey") this.#check(answer, key);
  }

  #url(key: string): URL {
    const { endpoint, bucket, prefix, pathStyle } = this.#options;
    const url = new URL(endpoint);
    const path = `${prefix}${key}`.split("/").map(encodeURIComponent).join("/");
    const before = url.pathname.replace(/\/$/, "");
    if (pathStyle) url.pathname = `${before}/${bucket}/${path}`;
    else {
      url.hostname = `${bucket}.${url.hostname}`;
      url.pathname = `${before}/${path}`;
    }
    return url;
  }

  async #call(call: S3Call, signal: AbortSignal): Promise<S3Answer> {
    const { region, credentials, ca, idleMs = IDLE_MS } = this.#options;
    try {
      const pem = ca?.();
      // Here it is told apart from a certificate that is merely not trusted.
      if (pem !== undefined) new X509Certificate(pem);
      return await callS3({ region, credentials: credentials(), ca: pem, idleMs }, call, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw this.#told(error as NodeJS.ErrnoException);
    }
  }

  #told(error: NodeJS.ErrnoException): ObjectStoreError {
    if (error instanceof ObjectStoreError) return error;
    const { endpoint } = this.#options;
    const { code = "", message } = error;
    const at = new URL(endpoint).host;
    if (/CERT|SELF_SIGNED|UNABLE_TO|TLS|SSL|EPROTO|ISSUER|X509|PEM/i.test(code)) {
      const text = `the certificate of ${at} is not one that is trusted (${message}): payloads.s3.ca_file names the CA`;
      return new ObjectStoreError("tls", text, { cause: error });
    }
    const why: Record<string, string> = {
      ECONNREFUSED: "nobody listens there",
      ENOTFOUND: "there is no such host",
      EAI_AGAIN: "its name cannot be looked up now",
      ETIMEDOUT: "no answer in time",
      ECONNRESET: "the connection was cut",
      EPIPE: "the connection was cut",
    };
    const text = `the object store at ${at} cannot be reached: ${why[code] ?? message}`;
    return new ObjectStoreError("unreachable", text, { cause: error });
  }

  /** What an answer that is none of the good ones says, by S3's own codes first. */
  #check(answer: S3Answer, key: string): void {
    const { status } = answer;
    if (status >= 200 && status < 300) return;
    const { bucket, endpoint } = this.#options;
    const code = codeOf(answer);
    const what = `${new URL(endpoint).host} answers ${status}${code === undefined ? "" : ` ${code}`}`;
    switch (code) {
      case "NoSuchBucket":
        throw new ObjectStoreError(
          "missing",
          `${what}: make the bucket ${bucket}, or mend payloads.s3.bucket`,
        );
      case "InvalidAccessKeyId":
      case "InvalidAccessKeyID":
      // versitygw's word.
      case "XAdminUserNotFound":
      case "SignatureDoesNotMatch":
        throw new ObjectStoreError("denied", `${what}: mend the access key of payloads.s3`);
      case "AccessDenied":
        throw new ObjectStoreError(
          "denied",
          `${what}: this access key may not do that in ${bucket}`,
        );
      case "RequestTimeTooSkewed":
        throw new ObjectStoreError("denied", `${what}: the clock of this machine is wrong`);
      case "AuthorizationHeaderMalformed":
      case "PermanentRedirect":
        throw new ObjectStoreError(
          "missing",
          `${what}: the bucket is in another region, mend payloads.s3.region`,
        );
      case "QuotaExceeded":
      case "XMinioStorageFull":
        throw new ObjectStoreError("full", `${what}: the object store is full`);
    }
    if (status === 507) throw new ObjectStoreError("full", `${what}: the object store is full`);
    if (status === 301 || status === 307) {
      throw new ObjectStoreError(
        "missing",
        `${what}: mend payloads.s3.endpoint or payloads.s3.region`,
      );
    }
    if (status === 401 || status === 403) {
      throw new ObjectStoreError(
        "denied",
        `${what}: mend the access key of payloads.s3, or its rights`,
      );
    }
    if (status >= 500 || status === 429 || status === 408) {
      throw new ObjectStoreError("unreachable", `${what}: trying again`);
    }
    if (status === 404) {
      throw new ObjectStoreError(
        "missing",
        `${what}: mend payloads.s3.bucket or payloads.s3.endpoint`,
      );
    }
    throw new ObjectStoreError("refused", `${what} to ${key}`);
  }
}

function codeOf({ body }: S3Answer): string | undefined {
  return /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(body.toString("latin1"))?.[1];
}

function corrupt(key: string, what: string): ObjectStoreError {
  return new ObjectStoreError("corrupt", `the object store says that ${key} has ${what}`);
}
