import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectionFault } from "../stream/kafka/connection-fault.ts";
import { Certificates, noCertificates } from "../test/kafka/certificates.ts";
import { kafkaCredentials, readCredentials } from "./kafka-credentials.ts";

type Kafka = Parameters<typeof readCredentials>[0];
const kafka = (sasl: Kafka["sasl"], tls: Kafka["tls"] = {}): Kafka => ({ brokers: [], sasl, tls });

test("neither SASL nor TLS where nothing is set", () => {
  expect(readCredentials(kafka({}))).toEqual({ credentials: {}, faults: [] });
});

test("TLS is spoken where it is asked for or any of its settings is set, and not where it is off", () => {
  expect(readCredentials(kafka({}, { enabled: true })).credentials).toEqual({ tls: {} });
  const off = { enabled: false, ca_file: "/nonexistent" };
  expect(readCredentials(kafka({}, off))).toEqual({ credentials: {}, faults: [] });
});

test("what is missing or said twice is told at once", () => {
  const { faults } = readCredentials(
    kafka(
      { mechanism: "PLAIN", password: "a", password_file: "/nonexistent" },
      { cert_file: "/nonexistent.crt", ca_file: "/nonexistent.pem" },
    ),
  );
  expect(faults).toEqual([
    "kafka.sasl.username must be set where a mechanism is",
    "kafka.sasl.password and kafka.sasl.password_file are both set: leave one out",
    "kafka.tls.ca_file: /nonexistent.pem: no such file",
    "kafka.tls.cert_file: /nonexistent.crt: no such file",
    "kafka.tls.cert_file and kafka.tls.key_file go together: one of them is missing",
  ]);
  expect(readCredentials(kafka({ username: "me" })).faults).toEqual([
    "kafka.sasl.mechanism must be set where kafka.sasl.username is",
  ]);
  expect(readCredentials(kafka({ mechanism: "PLAIN", username: "me" })).faults).toEqual([
    "kafka.sasl.password or kafka.sasl.password_file must be set where a mechanism is",
  ]);
});

const missing = await noCertificates();

describe.skipIf(missing !== undefined)("files", () => {
  let made: Certificates;
  const file = (name: string, text: string) => {
    const path = join(made.folder, name);
    writeFileSync(path, text);
    return path;
  };
  beforeAll(async () => {
    made = await Certificates.make();
    await made.issue("one");
    await made.issue("two");
  });
  afterAll(() => made.remove());

  test("a password is what is in its file, read anew each time", () => {
    const password_file = file("password", " with spaces \n");
    const source = kafkaCredentials(
      kafka({ mechanism: "SCRAM-SHA-512", username: "me", password_file }),
    );
    expect(source().sasl?.password).toBe(" with spaces ");
    file("password", "renewed");
    expect(source().sasl?.password).toBe("renewed");
    file("password", "\n");
    expect(source).toThrow(ConnectionFault);
    expect(source).toThrow(/kafka\.sasl\.password_file: .*password: is empty$/);
  });

  test("a certificate goes with its key and no other", () => {
    const cert_file = made.file("one.crt");
    const pair = { cert_file, key_file: made.file("one.key"), ca_file: made.ca };
    const { credentials, faults } = readCredentials(kafka({}, pair));
    expect(faults).toEqual([]);
    expect(Object.keys(credentials.tls ?? {})).toEqual(["ca", "cert", "key"]);
    const other = { ...pair, key_file: made.file("two.key") };
    expect(readCredentials(kafka({}, other)).faults).toEqual([
      expect.stringMatching(
        /two\.key: is the key of another certificate than kafka\.tls\.cert_file$/,
      ),
    ]);
  });

  test("files that hold something else are told", () => {
    const tls = {
      ca_file: file("ca.txt", "hello"),
      cert_file: file("cert.txt", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"),
      key_file: made.file("one.crt"),
    };
    expect(readCredentials(kafka({}, tls)).faults).toEqual([
      expect.stringMatching(/ca\.txt: holds no certificate in PEM/),
      expect.stringMatching(/cert\.txt: the certificate in it cannot be read$/),
      expect.stringMatching(/one\.crt: holds no private key in PEM/),
    ]);
  });

  test("an encrypted key needs its passphrase, which is not told", () => {
    const key_file = made.file("locked.key");
    const args = ["pkcs8", "-topk8", "-in", made.file("one.key"), "-passout", "pass:hush"];
    execFileSync("openssl", [...args, "-out", key_file]);
    const pair = { cert_file: made.file("one.crt"), key_file };
    expect(readCredentials(kafka({}, pair)).faults).toEqual([
      expect.stringMatching(/locked\.key: is encrypted: set kafka\.tls\.key_passphrase/),
    ]);
    expect(readCredentials(kafka({}, { ...pair, key_passphrase: "loud" })).faults).toEqual([
      expect.stringMatching(/locked\.key: cannot be read with the passphrase/),
    ]);
    const key_passphrase_file = file("passphrase", "hush\n");
    const { credentials, faults } = readCredentials(kafka({}, { ...pair, key_passphrase_file }));
    expect([credentials.tls?.passphrase, faults]).toEqual(["hush", []]);
  });
});
