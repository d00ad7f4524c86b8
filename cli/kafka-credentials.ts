/**
 * Who we are to Kafka, from settings and the files they name. Faults that a restart would not mend by itself (a file that
 * is missing, a key of another certificate) are told at the start, all at once; later, when a file is renewed while the
 * program runs, they are told like a refusal, and the files are read again at the next try.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { KafkaConfig } from "../stream/kafka/config.ts";
import { ConnectionFault } from "../stream/kafka/connection-fault.ts";
import type {
  CredentialsSource,
  KafkaCredentials,
  KafkaSasl,
  KafkaTls,
} from "../stream/kafka/credentials.ts";
import { SettingsError } from "./settings.ts";

/** @throws SettingsError with every fault of the settings and their files */
export function kafkaCredentials(settings: KafkaConfig): CredentialsSource {
  const { faults } = readCredentials(settings);
  if (faults.length > 0) throw new SettingsError(faults);
  return () => {
    const { credentials, faults: now } = readCredentials(settings);
    if (now.length > 0) throw new ConnectionFault("not_authorized", now.join("; "));
    return credentials;
  };
}

interface Read {
  readonly credentials: KafkaCredentials;
  readonly faults: readonly string[];
}

export function readCredentials({ sasl, tls }: KafkaConfig): Read {
  const faults: string[] = [];
  const user = readSasl(sasl, faults);
  const secured = readTls(tls, faults);
  return {
    credentials: { ...(user ? { sasl: user } : {}), ...(secured ? { tls: secured } : {}) },
    faults,
  };
}

function readSasl(settings: KafkaConfig["sasl"], faults: string[]): KafkaSasl | undefined {
  const { mechanism, username = "" } = settings;
  const given = Object.keys(settings).filter((key) => key !== "mechanism");
  if (mechanism === undefined) {
    if (given.length > 0) {
      faults.push(`kafka.sasl.mechanism must be set where kafka.sasl.${given[0]} is`);
    }
    return undefined;
  }
  if (username === "") faults.push("kafka.sasl.username must be set where a mechanism is");
  const password = secretOf("kafka.sasl", "password", settings, faults);
  if (password === undefined) {
    faults.push("kafka.sasl.password or kafka.sasl.password_file must be set where a mechanism is");
  }
  return { mechanism, username, password: password ?? "" };
}

function readTls(settings: KafkaConfig["tls"], faults: string[]): KafkaTls | undefined {
  const { enabled = Object.keys(settings).length > 0, ca_file, cert_file, key_file } = settings;
  if (!enabled) return undefined;
  const ca = pemOf("kafka.tls.ca_file", ca_file, "CERTIFICATE", faults);
  const cert = pemOf("kafka.tls.cert_file", cert_file, "CERTIFICATE", faults);
  const key = pemOf("kafka.tls.key_file", key_file, "PRIVATE KEY", faults);
  const passphrase = secretOf("kafka.tls", "key_passphrase", settings, faults);
  if ((cert_file === undefined) !== (key_file === undefined)) {
    faults.push("kafka.tls.cert_file and kafka.tls.key_file go together: one of them is missing");
  }
  if (cert !== undefined && key !== undefined) {
    const wrong = whyNoPair(cert, key, passphrase);
    if (wrong !== undefined) faults.push(`kafka.tls.key_file: ${key_file}: ${wrong}`);
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

/** A secret stands in the settings, or alone in a file that they name. */
function secretOf(
  group: string,
  name: string,
  settings: Readonly<Record<string, unknown>>,
  faults: string[],
): string | undefined {
  const given = settings[name] as string | undefined;
  const file = settings[`${name}_file`] as string | undefined;
  if (file === undefined) return given;
  if (given !== undefined) {
    faults.push(`${group}.${name} and ${group}.${name}_file are both set: leave one out`);
    return given;
  }
  const text = textOf(`${group}.${name}_file`, file, faults)?.replace(/\r?\n$/, "");
  if (text === "") faults.push(`${group}.${name}_file: ${file}: is empty`);
  return text ?? "";
}

function pemOf(
  setting: string,
  file: string | undefined,
  label: "CERTIFICATE" | "PRIVATE KEY",
  faults: string[],
): string | undefined {
  if (file === undefined) return undefined;
  const text = textOf(setting, file, faults);
  if (text === undefined) return undefined;
  if (!new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) {
    faults.push(`${setting}: ${file}: holds no ${label.toLowerCase()} in PEM (-----BEGIN …)`);
    return undefined;
  }
  if (label === "CERTIFICATE") {
    try {
      new X509Certificate(text);
    } catch {
      faults.push(`${setting}: ${file}: the certificate in it cannot be read`);
      return undefined;
    }
  }
  return text;
}

function textOf(setting: string, file: string, faults: string[]): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "no such file" : code === "EACCES" ? "may not be read" : code;
    faults.push(`${setting}: ${file}: ${why}`);
    return undefined;
  }
}

/** What OpenSSL says of a key names nothing that is secret, and nothing that helps. */
function whyNoPair(cert: string, key: string, passphrase: string | undefined): string | undefined {
  try {
    const made = createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) });
    return new X509Certificate(cert).checkPrivateKey(made)
      ? undefined
      : "is the key of another certificate than kafka.tls.cert_file";
  } catch {
    const encrypted = /ENCRYPTED/.test(key);
    if (!encrypted) return "the key in it cannot be read";
    return passphrase === undefined
      ? "is encrypted: set kafka.tls.key_passphrase or kafka.tls.key_passphrase_file"
      : "cannot be read with the passphrase in kafka.tls.key_passphrase";
  }
}
