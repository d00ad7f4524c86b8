/** Where Kafka is and who we are to it, as a fragment of each program's configuration schema. */
import Type, { type Static } from "typebox";
import { SASL_MECHANISMS, type SaslMechanism } from "./credentials.ts";

const closed = { additionalProperties: false, default: {} } as const;
/** Never printed, and taken from no flag: the arguments of a process can be read by everybody on the machine. */
const secret = { "x-secret": true, minLength: 1 } as const;

const saslSettings = Type.Object(
  {
    mechanism: Type.Optional(
      Type.Unsafe<SaslMechanism>(
        Type.Enum([...SASL_MECHANISMS], {
          description:
            "How name and password are told: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. No SASL without it.",
        }),
      ),
    ),
    username: Type.Optional(
      Type.String({ minLength: 1, description: "Who this program is to Kafka." }),
    ),
    password: Type.Optional(
      Type.String({
        ...secret,
        description: "Its password; there is no flag for it. `tidegate config` does not print it.",
      }),
    ),
    password_file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "A file with the password and nothing else (one line end after it is left out), read anew for each connection.",
      }),
    ),
  },
  closed,
);

const tlsSettings = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({
        description:
          "Speak TLS. Without it TLS is spoken where another setting of `kafka.tls` is set. Certificates are always checked.",
      }),
    ),
    ca_file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Certificates of the CAs to trust, PEM. Without it those that Node trusts, as hosted services need.",
      }),
    ),
    cert_file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Our own certificate with the chain up to its CA, PEM, where brokers ask for one (mTLS).",
      }),
    ),
    key_file: Type.Optional(
      Type.String({ minLength: 1, description: "The private key of that certificate, PEM." }),
    ),
    key_passphrase: Type.Optional(
      Type.String({
        ...secret,
        description: "Of an encrypted private key; there is no flag for it.",
      }),
    ),
    key_passphrase_file: Type.Optional(
      Type.String({ minLength: 1, description: "A file with the passphrase instead." }),
    ),
  },
  closed,
);

export const kafkaSettings = Type.Object(
  {
    brokers: Type.Array(
      Type.String({ pattern: "^[^\\s:]+:\\d{1,5}$|^\\[[0-9a-fA-F:]+\\]:\\d{1,5}$" }),
      {
        default: [],
        "x-form": "write HOST:PORT, e.g. kafka-1:9092",
        description:
          "HOST:PORT of some brokers. Without any, `start` keeps an embedded log, a gateway buffers.",
      },
    ),
    sasl: saslSettings,
    tls: tlsSettings,
  },
  closed,
);
export type KafkaConfig = Static<typeof kafkaSettings>;
