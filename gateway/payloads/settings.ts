/** The settings of large payloads: from what size on, how much may wait, and where they go. */
import Type, { type Static } from "typebox";

const MiB = 1024 * 1024;
const closed = { additionalProperties: false, default: {} } as const;

const s3Settings = Type.Object(
  {
    bucket: Type.Optional(
      Type.String({
        minLength: 3,
        maxLength: 63,
        pattern: "^[a-z0-9][a-z0-9.-]+[a-z0-9]$",
        "x-form": "write a bucket's name, e.g. plant-pictures",
        description: "Large payloads go into this bucket. Without it they go into a directory.",
      }),
    ),
    endpoint: Type.Optional(
      Type.String({
        pattern: "^https?://[^/?#@\\s]+/?$",
        "x-form": "write a URL, e.g. https://s3.example.com:9000",
        description: "The S3 service. Without it Amazon's own of the region.",
      }),
    ),
    region: Type.String({ default: "us-east-1", minLength: 1, description: "Of the bucket." }),
    prefix: Type.String({
      default: "",
      pattern: "^([A-Za-z0-9_-][A-Za-z0-9_.-]*/)*$",
      "x-form": "write a path that ends with /, e.g. plant-7/",
      description: "Begins the names of all objects; ends with /.",
    }),
    path_style: Type.Optional(
      Type.Boolean({
        description:
          "The bucket stands in the path, and not in the host's name. Without it: where `endpoint` is set.",
      }),
    ),
    access_key_id: Type.Optional(
      Type.String({ minLength: 1, description: "Who this gateway is to the object store." }),
    ),
    secret_access_key: Type.Optional(
      Type.String({
        "x-secret": true,
        minLength: 1,
        description: "Its secret; there is no flag for it. `tidegate config` does not print it.",
      }),
    ),
    secret_access_key_file: Type.Optional(
      Type.String({
        minLength: 1,
        description: "A file with the secret and nothing else, read anew for each request.",
      }),
    ),
    session_token: Type.Optional(
      Type.String({
        "x-secret": true,
        minLength: 1,
        description: "Of temporary credentials; there is no flag for it.",
      }),
    ),
    ca_file: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Certificates of the CAs to trust, PEM. Without it those that Node trusts.",
      }),
    ),
  },
  closed,
);

export const payloadSettings = Type.Object(
  {
    over_bytes: Type.Integer({
      default: 256 * 1024,
      minimum: 64,
      maximum: 512 * 1024,
      description:
        "Larger payloads on a sensor topic are not decoded: they go into an object store as they are, and the journal says so.",
    }),
    topics: Type.Array(
      Type.String({
        pattern: "^(?!\\$)(?=(?:[^#]*/)?\\+(?:/|$))(?:\\+|[^+#/]*)(?:/(?:\\+|[^+#/]*))*(?:/#)?$",
      }),
      {
        default: [],
        maxItems: 100,
        "x-form":
          "write a topic filter with a + where the device's name stands, e.g. cameras/+/image",
        description:
          "Topic filters whose messages are payloads of that kind whatever their size. The first + is the device's name.",
      },
    ),
    capacity_bytes: Type.Integer({
      default: 1024 * MiB,
      minimum: MiB,
      description:
        "What may wait on the disk for the object store, beside the buffer's own cap: a picture never takes the place of a reading. At it, `buffer.on_full` says what happens. A payload of more than half of it is rejected.",
    }),
    directory: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The object store, where no bucket is set: a directory that must be there, for instance a share. Without it `objects` in the data directory.",
      }),
    ),
    keep_bytes: Type.Integer({
      default: 4096 * MiB,
      minimum: MiB,
      description:
        "What `objects` in the data directory may hold; beyond it, and with less than `buffer.free_floor_bytes` and 256 MiB left on the disk, the oldest objects are deleted. A directory or a bucket of your own is yours to clear.",
    }),
    base_url: Type.Optional(
      Type.String({
        pattern: "^[a-z][a-z0-9+.-]*://\\S+$",
        "x-form": "write a URL, e.g. https://files.example.com/objects/",
        description:
          "Begins the references in events, where consumers reach the object store by another way than this gateway.",
      }),
    ),
    s3: s3Settings,
  },
  closed,
);
export type PayloadSettings = Static<typeof payloadSettings>;

/** Of the disk above the buffer's floor that is the readings' alone. */
const READINGS_BYTES = 256 * MiB;

/**
 * What large payloads, and objects on the gateway's own disk, leave free: at the buffer's floor readings give way or are
 * refused, and no picture may bring the disk there.
 * @returns 0 where nobody looks
 */
export function payloadFloor(buffer: {
  readonly free_floor_bytes: number;
  readonly capacity_bytes: number;
}): number {
  const { free_floor_bytes: floor, capacity_bytes: capacity } = buffer;
  return floor === 0 ? 0 : floor + Math.min(capacity, READINGS_BYTES);
}
