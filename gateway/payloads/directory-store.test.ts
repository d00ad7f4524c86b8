import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { describeObjectStore, noise, objectOf } from "./conformance.ts";
import { DirectoryStore } from "./directory-store.ts";

const made: string[] = [];
async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tidegate-objects-"));
  made.push(path);
  return path;
}
afterEach(async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

const LIMITS = { keepBytes: 1e9, freeFloorBytes: 0 };

describeObjectStore("a directory", async () => {
  const path = join(await directory(), "objects");
  const open = () => new DirectoryStore({ directory: path, own: LIMITS });
  return {
    store: open(),
    another: open,
    stored: async (key) => await readFile(join(path, key)).catch(() => undefined),
    end: async () => {},
  };
});

const signal = new AbortController().signal;

test("a directory that somebody named is not made: it may be a share that is not mounted", async () => {
  const path = join(await directory(), "share");
  const store = new DirectoryStore({ directory: path });
  await expect(store.put(objectOf("gw/undated/a.bin", noise(3)), signal)).rejects.toMatchObject({
    code: "missing",
    message: expect.stringContaining(path),
  });
});

test("no key leads out of the directory", async () => {
  const path = await directory();
  await writeFile(join(path, "secret"), "s");
  const store = new DirectoryStore({ directory: join(path, "objects"), own: LIMITS });
  for (const key of ["../secret", "gw/../../secret", "/etc/passwd", "gw//a", "gw/.hidden", ""]) {
    await expect(store.get(key, signal), key).rejects.toMatchObject({ code: "refused" });
    await expect(store.put(objectOf(key, noise(1)), signal), key).rejects.toMatchObject({
      code: "refused",
    });
  }
});

test("its own directory is kept within bounds: the oldest days go first, undated ones before them", async () => {
  const path = await directory();
  const open = () =>
    new DirectoryStore({ directory: path, own: { keepBytes: 3000, freeFloorBytes: 0 } });
  const put = async (key: string, store: DirectoryStore) => {
    await store.put(objectOf(key, noise(1000)), signal);
  };
  const first = open();
  for (const key of ["b/2026-11-20/2.bin", "a/2026-11-21/1.bin", "z/undated/9.bin"]) {
    await put(key, first);
  }
  // What was there before is counted by another process.
  const store = open();
  await put("a/2026-11-22/3.bin", store);
  const all = async () =>
    (await readdir(path, { recursive: true })).filter((one) => /bin$/.test(one)).sort();
  expect(await all()).toEqual(["a/2026-11-21/1.bin", "a/2026-11-22/3.bin", "b/2026-11-20/2.bin"]);
  await put("a/2026-11-22/4.bin", store);
  await put("a/2026-11-22/5.bin", store);
  expect(await all()).toEqual(["a/2026-11-22/3.bin", "a/2026-11-22/4.bin", "a/2026-11-22/5.bin"]);
});

test("a floor that cannot be kept deletes nothing", async () => {
  const path = await directory();
  const kept = new DirectoryStore({ directory: path, own: LIMITS });
  await kept.put(objectOf("a/2026-11-21/1.bin", noise(1000)), signal);
  const store = new DirectoryStore({
    directory: path,
    own: { keepBytes: 1e9, freeFloorBytes: Number.MAX_SAFE_INTEGER },
  });
  await expect(store.put(objectOf("a/2026-11-21/2.bin", noise(9)), signal)).rejects.toMatchObject({
    code: "full",
  });
  expect(await kept.get("a/2026-11-21/1.bin", signal)).toEqual(noise(1000));
});
