/** The S3 store against versitygw: what every object store promises, and what only a service over a network can do wrong. */

import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeObjectStore, noise, objectOf } from "../gateway/payloads/conformance.ts";
import { openObjectStore } from "../gateway/payloads/open-store.ts";
import { Certificates, noCertificates } from "./kafka/certificates.ts";
import { ACCESS, BUCKET, REGION, type RunningS3, startS3, versitygw } from "./versitygw.ts";

const found = await versitygw();
if (!found.available) console.warn(`skipped, the S3 store is not tested: ${found.reason}`);
const binary = found.available ? found.binary : "";
const noTls = await noCertificates();

describe.skipIf(!found.available)("S3", () => {
  let s3: RunningS3;
  beforeAll(async () => {
    s3 = await startS3(binary);
  });
  afterAll(async () => {
    await s3?.stop();
  });

  let runs = 0;
  describeObjectStore("versitygw", async () => {
    runs += 1;
    const prefix = `run-${runs}/`;
    return {
      store: s3.store({ prefix }),
      another: () => s3.store({ prefix }),
      stored: async (key) => await s3.stored(prefix + key),
      end: async () => {},
    };
  });

  const signal = () => AbortSignal.timeout(20_000);
  const object = objectOf("gw/2026-11-21/a.jpg", noise(1000), "image/jpeg");

  test.each([
    ["another secret", { credentials: () => ({ ...ACCESS, secretAccessKey: "no" }) }, "denied"],
    ["another access key", { credentials: () => ({ ...ACCESS, accessKeyId: "no" }) }, "denied"],
    ["a bucket that is not there", { bucket: "nowhere" }, "missing"],
    ["a port where nobody listens", { endpoint: "http://127.0.0.1:1" }, "unreachable"],
    ["a host that is not there", { endpoint: "http://nowhere.invalid" }, "unreachable"],
  ] as const)("%s is told in one line, without a secret", async (_, more, code) => {
    const failed = await s3
      .store(more)
      .put(object, signal())
      .catch((error: unknown) => error);
    expect(failed, String(failed)).toMatchObject({ name: "ObjectStoreError", code });
    const { message } = failed as Error;
    expect(message).not.toMatch(/\n/);
    expect(message).not.toContain(ACCESS.secretAccessKey);
    const read = await s3
      .store(more)
      .get(object.key, signal())
      .catch((error: unknown) => error);
    expect(read).toMatchObject({ code });
  });

  test("a service that is killed in an upload, and comes back, has nothing by halves", async () => {
    const large = objectOf("gw/2026-11-21/killed.bin", noise(4_000_000));
    let sent = 0;
    const pace = async (bytes: number) => {
      sent += bytes;
      if (sent > 2_000_000) await s3.kill();
    };
    await expect(s3.store().put(large, signal(), pace)).rejects.toMatchObject({
      code: "unreachable",
    });
    await s3.restart();
    expect(await s3.store().get(large.key, signal())).toBeUndefined();
    await s3.store().put(large, signal());
    expect((await s3.stored(`plant-7/${large.key}`))?.equals(large.bytes)).toBe(true);
  });

  test("a byte that changes on the way is refused by the service", async () => {
    const flipping = await flippingProxy(s3.port, 3000);
    try {
      const store = s3.store({ endpoint: `http://127.0.0.1:${flipping.port}` });
      const large = objectOf("gw/2026-11-21/flipped.bin", noise(100_000));
      // The signature is for the service's own name and port; so is what follows from a changed byte of the body.
      const failed = await store.put(large, signal()).catch((error: unknown) => error);
      expect(failed).toMatchObject({ name: "ObjectStoreError" });
      expect(flipping.flipped()).toBe(1);
      expect(await s3.stored(`plant-7/${large.key}`)).toBeUndefined();
      flipping.stopFlipping();
      await store.put(large, signal());
      expect((await s3.stored(`plant-7/${large.key}`))?.equals(large.bytes)).toBe(true);
    } finally {
      await flipping.close();
    }
  });

  test("a service that takes the connection and says nothing is given up", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    const store = s3.store({ endpoint: `http://127.0.0.1:${port}`, idleMs: 200 });
    await expect(store.put(object, signal())).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("no answer in time"),
    });
    silent.close();
  });

  test("the settings make the store: a secret from a file that is read anew, a reference of one's own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-secret-"));
    try {
      const file = join(folder, "secret");
      const store = openObjectStore(
        {
          over_bytes: 1,
          topics: [],
          capacity_bytes: 1,
          keep_bytes: 1,
          base_url: "https://files.example.com/p",
          s3: {
            bucket: BUCKET,
            endpoint: s3.endpoint,
            region: REGION,
            prefix: "set/",
            access_key_id: ACCESS.accessKeyId,
            secret_access_key_file: file,
          },
        },
        folder,
        0,
      );
      await expect(store.put(object, signal())).rejects.toMatchObject({
        code: "denied",
        message: expect.stringContaining(file),
      });
      await writeFile(file, `${ACCESS.secretAccessKey}\n`);
      await store.put(object, signal());
      expect(await s3.stored(`set/${object.key}`)).toEqual(object.bytes);
      expect(store.refOf("a/b/c.jpg")).toBe("https://files.example.com/p/a/b/c.jpg");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  describe.skipIf(noTls !== undefined)("over TLS", () => {
    test("is trusted by its own CA, and by no other", async () => {
      const certificates = await Certificates.make();
      const { cert, key } = await certificates.issue("localhost");
      const secure = await startS3(binary, { cert, key });
      try {
        const ca = await readFile(certificates.ca, "utf8");
        await secure.store({ ca: () => ca }).put(object, signal());
        expect(await secure.stored(`plant-7/${object.key}`)).toEqual(object.bytes);
        await expect(secure.store().put(object, signal())).rejects.toMatchObject({ code: "tls" });
        const other = await readFile(await certificates.authority("other"), "utf8");
        await expect(secure.store({ ca: () => other }).put(object, signal())).rejects.toMatchObject(
          { code: "tls" },
        );
      } finally {
        await secure.stop();
        await rm(certificates.folder, { recursive: true, force: true });
      }
    });
  });
});

/** Changes one byte of what goes to the service, so far into each connection. */
async function flippingProxy(to: number, at: number) {
  let flips = true;
  let flipped = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    let seen = 0;
    near.on("data", (chunk: Buffer) => {
      if (flips && seen <= at && at < seen + chunk.length) {
        chunk[at - seen] = (chunk[at - seen] ?? 0) ^ 1;
        flipped += 1;
      }
      seen += chunk.length;
      far.write(chunk);
    });
    far.pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {
        near.destroy();
        far.destroy();
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    flipped: () => flipped,
    stopFlipping() {
      flips = false;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
