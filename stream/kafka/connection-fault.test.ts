/** Every way not to get a connection to a real Kafka is one line that says what, where and what to do. */
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noCertificates } from "../../test/kafka/certificates.ts";
import { SecureKafka, type SecureListener } from "../../test/kafka/secure-kafka.ts";
import { kafkaCanRun } from "../../test/kafka/shared-kafka.ts";
import { record, spec } from "../conformance/harness.ts";
import { explainConnection, looksLikeTls } from "./connection-fault.ts";
import { type KafkaCredentials, SASL_MECHANISMS } from "./credentials.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";
import { createErrorFromCode } from "./kafkajs-internals.ts";
import type { KafkaLimits } from "./options.ts";

const canRun =
  (await kafkaCanRun("connections to a Kafka with TLS and SASL")) && !(await noCertificates());

describe.skipIf(!canRun)(
  "a Kafka with TLS, client certificates and SASL",
  { timeout: 60_000 },
  () => {
    let kafka: SecureKafka;
    let files: Readonly<Record<"ca" | "other", string>>;
    let own: Readonly<Record<"good" | "old" | "foreign", { cert: string; key: string }>>;
    beforeAll(async () => {
      kafka = await SecureKafka.start({ users: ["gw-7"] });
      const { certificates } = kafka;
      const read = (path: string) => readFileSync(path, "utf8");
      files = { ca: read(certificates.ca), other: read(await certificates.authority("other")) };
      const subject = "/CN=gw-7";
      const issue = async (name: string, options: object) => {
        const { cert, key } = await certificates.issue(name, { subject, ...options });
        return { cert: read(cert), key: read(key) };
      };
      own = {
        good: await issue("good", {}),
        old: await issue("old", { days: -1 }),
        foreign: await issue("foreign", { authority: "other" }),
      };
    }, 120_000);
    afterAll(() => kafka?.stop());

    /** Only what a call says, and what is logged at warn. */
    async function attempt(
      broker: string,
      credentials: KafkaCredentials,
      limits: Partial<KafkaLimits> = {},
    ) {
      const logged: string[] = [];
      const write = (line: string) => logged.push((JSON.parse(line) as { msg: string }).msg);
      const log = new KafkaEventLog({
        brokers: [broker],
        clientId: "connection",
        logger: pino({ level: "warn" }, { write }),
        credentials: () => credentials,
        limits: { callDeadlineMs: 300, ...limits },
      });
      await log.start();
      const error = await log.createTopics([spec("connection.v1")]).then(
        () => undefined,
        (failure: Error & { code: string }) => failure,
      );
      await log.stop();
      return { code: error?.code, message: error?.message ?? "", logged };
    }

    const tls = () => ({ ca: files.ca });

    test.each(SASL_MECHANISMS)(
      "%s with the right password gets in, over TLS",
      async (mechanism) => {
        const { code, message } = await attempt(kafka.at("SASL"), {
          tls: tls(),
          ...kafka.sasl("gw-7", mechanism),
        });
        // Who it is is known; what it may is another question.
        expect({ code, message }).toMatchObject({ code: "not_authorized" });
        expect(message).toContain(
          'TOPIC_AUTHORIZATION_FAILED (connection.v1): user "gw-7" may not',
        );
      },
    );

    test("a client certificate gets in", async () => {
      const { message } = await attempt(kafka.at("MTLS"), { tls: { ...tls(), ...own.good } });
      expect(message).toContain("TOPIC_AUTHORIZATION_FAILED (connection.v1)");
    });

    type Case = readonly [
      name: string,
      listener: SecureListener | "PLAIN",
      credentials: () => KafkaCredentials,
      code: string,
      line: RegExp,
    ];
    const wrong = (mechanism: (typeof SASL_MECHANISMS)[number]): KafkaCredentials => ({
      tls: tls(),
      sasl: { mechanism, username: "gw-7", password: "wrong" },
    });
    const cases: readonly Case[] = [
      ...SASL_MECHANISMS.map(
        (mechanism): Case => [
          `a wrong password with ${mechanism}`,
          "SASL",
          () => wrong(mechanism),
          "not_authorized",
          new RegExp(
            `^localhost:\\d+ does not let in user "gw-7" with ${mechanism} \\(invalid (username or password|credentials)\\): check kafka\\.sasl\\.username, its password and the mechanism$`,
            "i",
          ),
        ],
      ),
      [
        "a CA that is unknown here",
        "TLS",
        () => ({ tls: {} }),
        "tls",
        /^the certificate of localhost:\d+ is of a CA that is not known here: set kafka\.tls\.ca_file to the CA's certificate \(self-signed certificate in certificate chain\)$/,
      ],
      [
        "another CA",
        "TLS",
        () => ({ tls: { ca: files.other } }),
        "tls",
        /^the certificate of localhost:\d+ is not of the CA in kafka\.tls\.ca_file/,
      ],
      [
        "a certificate that has expired",
        "EXPIRED",
        () => ({ tls: tls() }),
        "tls",
        /^the certificate of localhost:\d+, or its CA's, has expired: .* clock is wrong \(20\d\d-/,
      ],
      [
        "no TLS against a TLS port",
        "TLS",
        () => ({}),
        "tls",
        /^localhost:\d+ speaks TLS and we do not: set kafka\.tls\.enabled to true$/,
      ],
      [
        "TLS against a port without",
        "PLAIN",
        () => ({ tls: tls() }),
        "unreachable",
        /^127\.0\.0\.1:\d+ closed the connection before it answered: is it the port of a TLS listener\? \(kafka\.tls\)$/,
      ],
      [
        "no client certificate",
        "MTLS",
        () => ({ tls: tls() }),
        "not_authorized",
        /^localhost:\d+ wants a certificate of ours \(bad certificate\): set kafka\.tls\.cert_file and kafka\.tls\.key_file$/,
      ],
      [
        "a client certificate that has expired",
        "MTLS",
        () => ({ tls: { ...tls(), ...own.old } }),
        "not_authorized",
        /^localhost:\d+ refuses our certificate \(certificate unknown\): it expired \d{4}-\d\d-\d\d; renew kafka\.tls\.cert_file$/,
      ],
      [
        "a client certificate of another CA",
        "MTLS",
        () => ({ tls: { ...tls(), ...own.foreign } }),
        "not_authorized",
        /^localhost:\d+ refuses our certificate \(certificate unknown\): kafka\.tls\.cert_file has to be of a CA that the broker trusts/,
      ],
      [
        "no SASL where it is asked for",
        "SASL",
        () => ({ tls: tls() }),
        "unreachable",
        /^localhost:\d+ closed the connection before it answered: it may want SASL \(kafka\.sasl\)$/,
      ],
      [
        "SASL where there is none",
        "TLS",
        () => ({ tls: tls(), ...kafka.sasl("gw-7") }),
        "not_authorized",
        /^localhost:\d+ takes no SASL on this port: leave out kafka\.sasl/,
      ],
    ];
    test.each(cases)("%s is one line", async (_name, listener, credentials, code, line) => {
      const broker = listener === "PLAIN" ? kafka.broker.address : kafka.at(listener);
      const found = await attempt(broker, credentials());
      expect(found.code).toBe(code);
      expect(found.message.replace("Kafka: create topics: ", "")).toMatch(line);
      expect(found.logged).toHaveLength(1);
      expect(found.logged[0]).toContain(found.message.replace("Kafka: create topics: ", ""));
    });

    test("a certificate for another host says for which it is", async () => {
      const broker = kafka.at("TLS").replace("localhost", "127.0.0.1");
      const { code, message } = await attempt(broker, { tls: tls() });
      expect(code).toBe("tls");
      expect(message).toMatch(
        /the certificate of 127\.0\.0\.1:\d+ is for DNS:localhost: connect by a name that it has/,
      );
    });

    test("a password that is put right is used without a restart, and the retries until then are few", async () => {
      await kafka.shell(
        "kafka-acls.sh --bootstrap-server kafka-1:9092 --add --allow-principal User:gw-7 --topic mended.v1 --operation Write --operation Create",
      );
      let asked = 0;
      let password = "wrong";
      const log = new KafkaEventLog({
        brokers: [kafka.at("SASL")],
        clientId: "mended",
        logger: pino({ level: "silent" }),
        credentials: () => {
          asked++;
          return { tls: tls(), sasl: { mechanism: "SCRAM-SHA-512", username: "gw-7", password } };
        },
        limits: { refusedPauseMs: 400 },
        random: () => 0.99,
      });
      await log.start();
      let handed = false;
      const acknowledged = Promise.withResolvers<void>();
      const sink = log.sink({
        next: async (signal) => {
          if (!handed) {
            handed = true;
            return { topic: "mended.v1", key: "gw-7", records: [record("gw-7", 1)] };
          }
          return await new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
        },
        acknowledged: async () => acknowledged.resolve(),
      });
      await sink.start();
      await expect.poll(() => sink.status().retries, { timeout: 20_000 }).toBeGreaterThan(5);
      // One to say that Kafka is there, and one for each try of the sink.
      expect(asked).toBeLessThanOrEqual(sink.status().retries + 2);
      expect(sink.status()).toMatchObject({
        state: "waiting",
        lastError: expect.stringContaining('does not let in user "gw-7"'),
      });
      password = kafka.sasl("gw-7").sasl?.password ?? "";
      await log.createTopics([{ name: "mended.v1", partitions: 1, cleanup: "delete" }]);
      await acknowledged.promise;
      await log.stop();
    });
  },
);

test("a broker that goes in the middle of things is no wrong setting", () => {
  const brokers = ["kafka-1:9092"];
  const closed = Object.assign(new Error("Closed connection"), {
    name: "KafkaJSConnectionClosedError",
    host: "kafka-1",
    port: 9092,
  });
  const attempt = { brokers, credentials: {}, now: 0 };
  expect(explainConnection(closed, { ...attempt, reached: "answers" })).toBeUndefined();
  expect(explainConnection(closed, { ...attempt, reached: "nothing" })?.code).toBe("unreachable");
  expect(explainConnection(new Error("boom"), { ...attempt, reached: "nothing" })).toBeUndefined();
});

test("sessions that end before they can be renewed are not taken for a port without SASL", () => {
  const brokers = ["kafka-1:9093"];
  const illegal = createErrorFromCode(34);
  const attempt = { brokers, credentials: {}, now: 0 };
  expect(explainConnection(illegal, { ...attempt, reached: "nothing" })?.message).toMatch(
    /takes no SASL/,
  );
  expect(explainConnection(illegal, { ...attempt, reached: "answers" })?.message).toMatch(
    /^kafka-1:9093 ends sessions sooner than they can be renewed/,
  );
});

test("TLS is told from Kafka's answers by its first bytes", () => {
  expect(looksLikeTls(Buffer.from([21, 3, 3, 0, 2, 2, 80]))).toBe(true);
  expect(looksLikeTls(Buffer.from([22, 3, 1, 0, 200]))).toBe(true);
  expect(looksLikeTls(Buffer.from([0, 0, 1, 44, 0, 0, 0, 1]))).toBe(false);
  expect(looksLikeTls(Buffer.from([]))).toBe(false);
});
