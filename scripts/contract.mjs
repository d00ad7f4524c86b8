// `npm run contract`: writes the published contract (events/contract/v1) from events/schema.ts. `-- --release` also keeps it as that of the version in
// package.json: from then on a test fails on every change that would break its consumers.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { contractFiles, contractOf, json } from "../events/contract.ts";
import { root } from "./setup.mjs";

const folder = join(root, "events", "contract", "v1");
const released = join(folder, "released");
mkdirSync(released, { recursive: true });

const files = contractFiles();
for (const { name, text } of files) writeFileSync(join(folder, name), text);
for (const name of readdirSync(folder)) {
  if (name !== "released" && !files.some((file) => file.name === name)) rmSync(join(folder, name));
}
console.error(`tidegate: ${files.length} files in events/contract/v1`);

if (process.argv.includes("--release")) {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const file = join(released, `${version}.json`);
  if (existsSync(file)) {
    console.error(`tidegate: the contract of ${version} is kept already, and never changed`);
    process.exit(1);
  }
  writeFileSync(file, json(contractOf(version)));
  console.error(`tidegate: the contract of ${version} is kept`);
}
