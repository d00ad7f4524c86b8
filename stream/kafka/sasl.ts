/**
 * The exchange of name and password, so that its end says whether the broker refused us or was gone: kafkajs calls both an
 * authentication that failed, and a broker that restarts in the middle of one would be a wrong password.
 */
import type { KafkaConfig } from "kafkajs";
import { SaslRefusal } from "./connection-fault.ts";
import type { KafkaSasl } from "./credentials.ts";
import { SASL_PROVIDERS, type SaslContext } from "./kafkajs-internals.ts";

export function saslOptions({ mechanism, ...user }: KafkaSasl): NonNullable<KafkaConfig["sasl"]> {
  const begin = SASL_PROVIDERS[mechanism](user);
  return {
    mechanism,
    authenticationProvider: (given) => {
      const context = given as unknown as SaslContext;
      let failed: unknown;
      const exchange = begin({
        ...context,
        saslAuthenticate: async (step) => {
          try {
            return await context.saslAuthenticate(step);
          } catch (error) {
            failed = error;
            throw error;
          }
        },
      });
      return {
        authenticate: async () => {
          try {
            await exchange.authenticate();
          } catch (error) {
            // Protocol errors have a type; a connection that broke has none.
            if (failed !== undefined && !(failed as { type?: string }).type) throw failed;
            throw new SaslRefusal(`${context.host}:${context.port}`, failed ?? error);
          }
        },
      };
    },
  };
}
