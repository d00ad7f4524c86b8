/** Whose fault the end of an authentication is. */
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { SaslRefusal } from "./connection-fault.ts";
import type { SaslMechanism } from "./credentials.ts";
import { createErrorFromCode } from "./kafkajs-internals.ts";
import { saslOptions } from "./sasl.ts";

const { KafkaJSConnectionClosedError } = createRequire(import.meta.url)("kafkajs/src/errors") as {
  KafkaJSConnectionClosedError: new (message: string, options: object) => Error;
};
const SASL_AUTHENTICATION_FAILED = 58;

async function failing(mechanism: SaslMechanism, error: Error): Promise<unknown> {
  const options = saslOptions({ mechanism, username: "gw-7", password: "hush" }) as unknown as {
    authenticationProvider(context: object): { authenticate(): Promise<void> };
  };
  const silent = { debug: () => {}, error: () => {} };
  const exchange = options.authenticationProvider({
    host: "kafka-1",
    port: 9093,
    logger: silent,
    saslAuthenticate: async () => {
      throw error;
    },
  });
  return await exchange.authenticate().catch((thrown: unknown) => thrown);
}

test.each(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const)(
  "%s: what the broker says is a refusal with its address, a broker that goes is none",
  async (mechanism) => {
    const refused = await failing(mechanism, createErrorFromCode(SASL_AUTHENTICATION_FAILED));
    expect(refused).toBeInstanceOf(SaslRefusal);
    expect(refused).toMatchObject({ broker: "kafka-1:9093" });
    expect(JSON.stringify([refused, String(refused)])).not.toContain("hush");
    const gone = new KafkaJSConnectionClosedError("Closed connection", {
      host: "kafka-1",
      port: 9093,
    });
    expect(await failing(mechanism, gone)).toBe(gone);
  },
);
