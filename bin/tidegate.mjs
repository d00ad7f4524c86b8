#!/usr/bin/env node
// Starts the built program on a Node that can run it: this one if it is new enough, else the pinned one that
// npm installed beside us. Plain old JavaScript, so that an old Node reaches the message below instead of a
// syntax error.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { flagsOf } from "./node-flags.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "dist", "cli", "main.js");
const [major, minor] = process.versions.node.split(".").map(Number);
const newEnough = major > 22 || (major === 22 && minor >= 22);

if (existsSync(join(root, "tsconfig.build.json"))) {
  // A checkout: build what is missing, as the npm scripts do.
  const { install, build } = await import("../scripts/setup.mjs");
  install();
  build();
}
function pinnedNode() {
  try {
    const found = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    return join(dirname(found), "bin", "node");
  } catch {
    return "";
  }
}
const pinned = pinnedNode();
const flags = flagsOf(process.argv[2]);
const bounded = flags.every((flag) => process.execArgv.includes(flag));
if (newEnough && !bounded && process.execve) {
  const args = ["--enable-source-maps", ...flags, main, ...process.argv.slice(2)];
  process.execve(process.execPath, [process.execPath, ...args], process.env);
} else if (newEnough) {
  process.setSourceMapsEnabled(true);
  await import(main);
} else if (existsSync(pinned)) {
  const child = spawn(pinned, ["--enable-source-maps", ...flags, main, ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
} else {
  console.error(
    `tidegate needs Node 22.22 or newer, this is ${process.versions.node}. Install Node 24 and start it again.`,
  );
  process.exit(1);
}
