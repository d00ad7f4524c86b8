/**
 * A real Kafka as a team would run it: TLS, mutual TLS and SASL on listeners of their own, and the authorizer on. Who comes
 * through the plain listener of the tests is the administrator; everybody else may what the ACLs say.
 */
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { KafkaCredentials, SaslMechanism } from "../../stream/kafka/credentials.ts";
import { Certificates } from "./certificates.ts";
import { KafkaBroker } from "./kafka-broker.ts";
import { kafkaJars } from "./kafka-jars.ts";

const exec = promisify(execFile);

/** Kafka's commands that the documentation uses, and what they are in the jars. */
const TOOLS = {
  "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
  "kafka-configs.sh": "kafka.admin.ConfigCommand",
  "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
} as const;

export const PASSWORD = "correct-horse=battery staple";

export interface SecureKafkaOptions {
  /** Users that there are with PASSWORD, with each mechanism. */
  readonly users: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
}

/** Names of its listeners. */
export type SecureListener = "TLS" | "MTLS" | "SASL" | "OPEN" | "EXPIRED";

export class SecureKafka {
  readonly broker: KafkaBroker;
  readonly certificates: Certificates;

  private constructor(broker: KafkaBroker, certificates: Certificates) {
    this.broker = broker;
    this.certificates = certificates;
  }

  static async start({ users, properties = {} }: SecureKafkaOptions): Promise<SecureKafka> {
    const certificates = await Certificates.make();
    const good = await certificates.issue("broker");
    const old = await certificates.issue("yesterday", { days: -1 });
    const keystore = (listener: string, file: string) => ({
      [`listener.name.${listener}.ssl.keystore.type`]: "PEM",
      [`listener.name.${listener}.ssl.keystore.location`]: file,
    });
    const plain = users.map((user) => `user_${user}="${PASSWORD}"`).join(" ");
    const sasl = (listener: string) => ({
      [`listener.name.${listener}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
      [`listener.name.${listener}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${plain};`,
      [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`]:
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
      [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`]:
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    });
    const broker = new KafkaBroker({
      listeners: {
        TLS: "SSL",
        MTLS: "SSL",
        SASL: "SASL_SSL",
        OPEN: "SASL_PLAINTEXT",
        EXPIRED: "SSL",
      },
      listenerHost: "localhost",
      scram: users.flatMap((user) =>
        ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(
          (mechanism) => `${mechanism}=[name="${user}",password="${PASSWORD}"]`,
        ),
      ),
      properties: {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        ...keystore("tls", good.keystore),
        ...keystore("sasl", good.keystore),
        ...keystore("expired", old.keystore),
        ...keystore("mtls", good.keystore),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.mtls.ssl.truststore.type": "PEM",
        "listener.name.mtls.ssl.truststore.location": certificates.ca,
        "listener.name.mtls.ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        ...sasl("sasl"),
        ...sasl("open"),
        ...properties,
      },
    });
    await broker.start();
    return new SecureKafka(broker, certificates);
  }

  /** By the name that the broker's certificate has. */
  at(listener: SecureListener): string {
    return `localhost:${this.broker.listenerPort(listener)}`;
  }

  sasl(username: string, mechanism: SaslMechanism = "SCRAM-SHA-512"): KafkaCredentials {
    return { sasl: { mechanism, username, password: PASSWORD } };
  }

  /**
   * Runs lines as they stand in the documentation, with `kafka-1:9092` standing for this Kafka.
   * @returns what they printed
   */
  async shell(lines: string): Promise<string> {
    const jars = await kafkaJars();
    if (!jars.available) throw new Error(jars.reason);
    const bin = join(this.certificates.folder, "bin");
    await mkdir(bin, { recursive: true });
    for (const [name, main] of Object.entries(TOOLS)) {
      const java = `exec java -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '${jars.classpath}'`;
      await writeFile(join(bin, name), `#!/bin/sh\n${java} ${main} "$@"\n`);
      await chmod(join(bin, name), 0o755);
    }
    const script = lines.replaceAll("kafka-1:9092", this.broker.address);
    const { stdout } = await exec("sh", ["-ec", script], {
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
      maxBuffer: 1 << 24,
    });
    return stdout;
  }

  async stop(): Promise<void> {
    await this.broker.stop();
    await this.certificates.remove();
  }
}
