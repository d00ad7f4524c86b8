/**
 * A real Chromium for tests of pages, from an npm package: no download, no system browser. The package unpacks the
 * binary once into the temporary folder and shares it between runs.
 */
import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import chromium from "@sparticuz/chromium";
import { type Browser, chromium as playwright } from "playwright-core";

/**
 * What a page's promised times are multiplied by: the other tests run beside a browser on the same two cores, and a test
 * must tell a page that polls or hangs from one that is pushed to, not a busy machine from an idle one.
 */
export const SLACK = 3;

/** Unpacking takes about 2 s; a lock older than this was left by a run that was killed, ms. */
const STALE_LOCK_MS = 60_000;

/** Two runs that unpack at the same time would each start the other's half-written file. */
async function unpacked(): Promise<string> {
  const lock = join(tmpdir(), "tidegate-chromium.lock");
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      const age = existsSync(lock) ? Date.now() - statSync(lock).mtimeMs : 0;
      if (age > STALE_LOCK_MS) rmdirSync(lock);
      await pause(100);
    }
  }
  try {
    return await chromium.executablePath();
  } finally {
    rmdirSync(lock);
  }
}

/** The caller closes it. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = await unpacked();
  // In one process a second context takes the browser down with it; that is made for functions with one page.
  const args = chromium.args.filter((arg) => !["--single-process", "--no-zygote"].includes(arg));
  return playwright.launch({ executablePath, args, headless: true });
}
