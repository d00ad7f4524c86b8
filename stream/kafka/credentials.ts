/**
 * Who we are to Kafka, and whom we take for Kafka. Secrets pass through here and stand in no message: what is told of
 * them is the user's name and the mechanism.
 */
import type { SecureContextOptions } from "node:tls";

/** OAUTHBEARER and GSSAPI are not among them: each needs a client of its own for tokens or tickets. */
export const SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

export interface KafkaSasl {
  readonly mechanism: SaslMechanism;
  readonly username: string;
  readonly password: string;
}

/** PEM. Certificates of brokers are always checked, chain and host name: there is no switch to leave that out. */
export type KafkaTls = Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase">;

export interface KafkaCredentials {
  readonly sasl?: KafkaSasl;
  /** Absent: no TLS is spoken. Without `ca`, what Node trusts is trusted. */
  readonly tls?: KafkaTls;
}

/**
 * Asked anew for each session, so that a certificate or password that was changed on disk is used without a restart.
 * What it throws is told like a refusal, and it is asked again.
 */
export type CredentialsSource = () => KafkaCredentials;
