/** The object store that the settings name. Files with secrets and certificates are read when they are needed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DirectoryStore } from "./directory-store.ts";
import { type ObjectStore, ObjectStoreError } from "./port.ts";
import type { S3Credentials } from "./s3-request.ts";
import { S3Store } from "./s3-store.ts";
import type { PayloadSettings } from "./settings.ts";

/** @param freeFloorBytes what a store on the gateway's own disk leaves free */
export function openObjectStore(
  settings: PayloadSettings,
  dataDir: string,
  freeFloorBytes: number,
): ObjectStore {
  const { s3, directory, base_url: baseUrl, keep_bytes: keepBytes } = settings;
  if (s3.bucket === undefined) {
    // Our own is bounded by us; who names another keeps house there.
    return directory === undefined
      ? new DirectoryStore({
          directory: join(dataDir, "objects"),
          own: { keepBytes, freeFloorBytes },
          baseUrl,
        })
      : new DirectoryStore({ directory, baseUrl });
  }
  const { region, endpoint, prefix, ca_file: caFile } = s3;
  return new S3Store({
    endpoint: endpoint ?? `https://s3.${region}.amazonaws.com`,
    region,
    bucket: s3.bucket,
    prefix,
    pathStyle: s3.path_style ?? endpoint !== undefined,
    credentials: () => credentialsOf(s3),
    ca: () => (caFile === undefined ? undefined : secretFile(caFile, "tls", "payloads.s3.ca_file")),
    baseUrl,
  });
}

/** Where objects are as files; undefined where they are in a bucket. */
export function objectDirectory(settings: PayloadSettings, dataDir: string): string | undefined {
  if (settings.s3.bucket !== undefined) return undefined;
  return settings.directory ?? join(dataDir, "objects");
}

function credentialsOf(s3: PayloadSettings["s3"]): S3Credentials {
  const { access_key_id: accessKeyId, secret_access_key_file: file } = s3;
  const secretAccessKey =
    s3.secret_access_key ??
    (file &&
      secretFile(file, "denied", "payloads.s3.secret_access_key_file").replace(/\r?\n$/, ""));
  if (accessKeyId === undefined || !secretAccessKey) {
    throw new ObjectStoreError(
      "denied",
      "there is no access key: set payloads.s3.access_key_id, and payloads.s3.secret_access_key or secret_access_key_file",
    );
  }
  return { accessKeyId, secretAccessKey, sessionToken: s3.session_token };
}

function secretFile(path: string, code: "tls" | "denied", setting: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const text = `${setting}: ${path} cannot be read (${(error as Error).message})`;
    throw new ObjectStoreError(code, text, { cause: error });
  }
}
