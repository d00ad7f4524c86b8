import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { writePatiently } from "./write-patiently.ts";

/** Takes one chunk in each turn of the loop and is full after every write. */
function slow(): { out: Writable; taken: string[] } {
  const taken: string[] = [];
  const out = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, done) {
      taken.push(String(chunk));
      setImmediate(done);
    },
  });
  return { out, taken };
}

test("a slow reader gets everything, and no listener stays behind", async () => {
  const { out, taken } = slow();
  const abort = new AbortController();
  const before = out.eventNames().map((name) => [name, out.listenerCount(name)]);
  for (let i = 0; i < 50; i += 1) await writePatiently(out, `${i}\n`, abort.signal);
  expect(taken).toHaveLength(50);
  expect(out.eventNames().map((name) => [name, out.listenerCount(name)])).toEqual(before);
});

test("a reader that is gone holds up nobody", async () => {
  const out = new Writable({ highWaterMark: 1, write() {} });
  const abort = new AbortController();
  out.on("close", () => abort.abort());
  const written = writePatiently(out, "x", abort.signal);
  out.destroy();
  await written;
  await writePatiently(out, "never", abort.signal);
  expect(out.listenerCount("drain")).toBe(0);
});
