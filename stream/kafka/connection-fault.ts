/**
 * Why no connection to Kafka comes about, in one line: what, where, what to do. Brokers end a connection that they do
 * not want without a word or with an alert of TLS, and what kafkajs makes of it ("Closed connection") helps nobody.
 *
 * Only what is certain is told as such; where a broker that restarts looks the same, the line says what else it may be.
 */
import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { EventLogErrorCode } from "../port.ts";
import type { KafkaCredentials } from "./credentials.ts";

export class ConnectionFault extends Error {
  readonly code: EventLogErrorCode;

  constructor(code: EventLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnectionFault";
    this.code = code;
  }
}

/** Of a socket that got TLS where it spoke Kafka's protocol in the open. */
export const SPEAKS_TLS = "TIDEGATE_SPEAKS_TLS";

/** A record of TLS begins with its type (20 to 24) and 3; an answer of Kafka begins with its length, which is below 16 MiB. */
export function looksLikeTls(bytes: Uint8Array): boolean {
  const [type = 0, major = 0] = bytes;
  return type >= 20 && type <= 24 && major === 3;
}

/** What a broker said to our name and password, with the broker: kafkajs loses both on the way. */
export class SaslRefusal extends Error {
  readonly broker: string;

  constructor(broker: string, cause: unknown) {
    super((cause as Error).message, { cause });
    this.name = "SaslRefusal";
    this.broker = broker;
  }
}

/** What is known of the attempt. */
export interface Attempt {
  readonly brokers: readonly string[];
  readonly credentials: KafkaCredentials;
  /** How far this connection ever got: everybody is told the versions, also who has not said yet who he is. */
  readonly reached: "nothing" | "versions" | "answers";
  /** ms since 1970, by this machine. */
  readonly now: number;
}

const UNKNOWN_CA = new Set([
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "INVALID_CA",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const CLOSED = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

interface AnyError {
  readonly name?: string;
  readonly type?: string;
  readonly code?: unknown;
  readonly broker?: string;
  readonly host?: string;
  readonly port?: number;
  readonly message?: string;
  readonly cause?: unknown;
  readonly originalError?: unknown;
  readonly errors?: readonly unknown[];
}

/** @returns undefined where the error is of another kind: faults.ts knows those */
export function explainConnection(error: unknown, attempt: Attempt): ConnectionFault | undefined {
  let at = error as AnyError | undefined;
  for (let depth = 0; at && depth < 8; depth++) {
    if (at instanceof ConnectionFault) return at;
    const found = explainOne(at, attempt);
    if (found) return new ConnectionFault(found[0], found[1], { cause: error });
    at = (at.errors?.[0] ?? at.cause ?? at.originalError) as AnyError | undefined;
  }
  return undefined;
}

type Told = readonly [code: EventLogErrorCode, message: string];

function explainOne(error: AnyError, attempt: Attempt): Told | undefined {
  const where =
    error.broker ??
    (error.host === undefined ? attempt.brokers.join(", ") : `${error.host}:${error.port}`);
  return (
    sasl(error, where, attempt) ?? network(error, where, attempt) ?? closed(error, where, attempt)
  );
}

function sasl(error: AnyError, where: string, attempt: Attempt): Told | undefined {
  const { credentials, reached } = attempt;
  const { mechanism = "", username = "" } = credentials.sasl ?? {};
  if (error.name === "SaslRefusal") {
    const said = `${error.message}`
      .replace(/^.*authentication failed: /i, "")
      .replace(/^.*due to (invalid credentials).*$/, "$1");
    return [
      "not_authorized",
      `${where} does not let in user "${username}" with ${mechanism} (${said}): check kafka.sasl.username, its password and the mechanism`,
    ];
  }
  if (
    error.type === "UNSUPPORTED_SASL_MECHANISM" ||
    /mechanism is not supp/.test(`${error.message}`)
  ) {
    return [
      "not_authorized",
      `${where} does not take SASL ${mechanism}: set kafka.sasl.mechanism to one that this listener takes`,
    ];
  }
  if (error.type === "ILLEGAL_SASL_STATE" && reached !== "nothing") {
    // kafkajs renews a session ten seconds before it ends, and one that is no longer at once, which brokers refuse.
    return [
      "not_authorized",
      `${where} ends sessions sooner than they can be renewed: set its connections.max.reauth.ms above 20000, or to 0`,
    ];
  }
  if (error.type === "ILLEGAL_SASL_STATE") {
    return [
      "not_authorized",
      `${where} takes no SASL on this port: leave out kafka.sasl, or use the port of its SASL listener`,
    ];
  }
  return undefined;
}

function network(error: AnyError, where: string, attempt: Attempt): Told | undefined {
  const code = typeof error.code === "string" ? error.code : "";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return [
      "unreachable",
      `no address is known for the host of ${where} (${code}): check kafka.brokers, and DNS`,
    ];
  }
  const reason = `${error.message}`.replace(/^Connection error: /, "");
  if (code === SPEAKS_TLS) {
    return ["tls", `${where} speaks TLS and we do not: set kafka.tls.enabled to true`];
  }
  if (UNKNOWN_CA.has(code)) {
    const what = attempt.credentials.tls?.ca
      ? "is not of the CA in kafka.tls.ca_file: put the CA that signed it there"
      : "is of a CA that is not known here: set kafka.tls.ca_file to the CA's certificate";
    return ["tls", `the certificate of ${where} ${what} (${reason})`];
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return [
      "tls",
      `the certificate of ${where} ${reason}: connect by a name that it has (kafka.brokers, and the broker's advertised.listeners)`,
    ];
  }
  const today = new Date(attempt.now).toISOString().slice(0, 16);
  if (code === "CERT_HAS_EXPIRED") {
    return [
      "tls",
      `the certificate of ${where}, or its CA's, has expired: it has to be renewed there, unless this machine's clock is wrong (${today}Z)`,
    ];
  }
  if (code === "CERT_NOT_YET_VALID") {
    return [
      "tls",
      `the certificate of ${where} is not valid yet: this machine's clock is wrong (${today}Z), or the certificate is`,
    ];
  }
  if (/^ERR_SSL_.*ALERT/.test(code)) return clientCertificate(code, where, attempt);
  if (code === "EPROTO" || /^ERR_SSL_/.test(code)) {
    const said = /error:[^:]*:[^:]*:[^:]*:([^:]+)/.exec(reason)?.[1] ?? reason;
    return [
      "tls",
      `no TLS with ${where} (${said}): is it the port of a TLS listener? Without TLS set kafka.tls.enabled to false`,
    ];
  }
  return undefined;
}

/** What a broker says of our certificate, and of what we offered, comes as an alert. */
function clientCertificate(code: string, where: string, attempt: Attempt): Told {
  const alert = code.replace(/^ERR_SSL_.*ALERT_/, "").replaceAll("_", " ");
  const said = alert.toLowerCase();
  const { cert } = attempt.credentials.tls ?? {};
  if (/PROTOCOL VERSION/.test(alert)) {
    return ["tls", `${where} speaks no version of TLS that we take (1.2 or 1.3): ${said}`];
  }
  if (cert === undefined) {
    return [
      "not_authorized",
      `${where} wants a certificate of ours (${said}): set kafka.tls.cert_file and kafka.tls.key_file`,
    ];
  }
  const expired = expiryOf(cert);
  if (expired !== undefined && expired.getTime() < attempt.now) {
    return [
      "not_authorized",
      `${where} refuses our certificate (${said}): it expired ${expired.toISOString().slice(0, 10)}; renew kafka.tls.cert_file`,
    ];
  }
  return [
    "not_authorized",
    `${where} refuses our certificate (${said}): kafka.tls.cert_file has to be of a CA that the broker trusts, with the chain up to it`,
  ];
}

function expiryOf(cert: unknown): Date | undefined {
  try {
    return new X509Certificate(cert as string).validToDate;
  } catch {
    return undefined;
  }
}

/** What the certificate is for, where it is not for this host. */
export function checkHost(host: string, certificate: PeerCertificate): Error | undefined {
  const error = checkServerIdentity(host, certificate);
  if (!error) return undefined;
  const { subjectaltname, subject } = certificate;
  const names = subjectaltname ?? (subject?.CN === undefined ? "nobody" : `CN ${subject.CN}`);
  return Object.assign(new Error(`is for ${names}`), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
}

/** Closed without a word before it answered: what the other side may have wanted. */
function closed(error: AnyError, where: string, attempt: Attempt): Told | undefined {
  const code = typeof error.code === "string" ? error.code : "";
  const isClosed = error.name === "KafkaJSConnectionClosedError" || CLOSED.has(code);
  if (!isClosed || attempt.reached === "answers") return undefined;
  const { sasl: user, tls: secured } = attempt.credentials;
  const lead = `${where} closed the connection before it answered`;
  if (attempt.reached === "versions") {
    return user ? undefined : ["unreachable", `${lead}: it may want SASL (kafka.sasl)`];
  }
  if (/before secure TLS connection/.test(`${error.message}`)) {
    return ["unreachable", `${lead}: is it the port of a TLS listener? (kafka.tls)`];
  }
  if (!secured) return ["unreachable", `${lead}: it may want TLS (kafka.tls)`];
  if (secured.cert) return undefined;
  return ["unreachable", `${lead}: it may want a certificate of ours (kafka.tls.cert_file)`];
}
