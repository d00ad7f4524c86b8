// Brings a fresh clone to the point where it can run: dependencies from the lock file and the pinned
// Node they carry, then the build. Plain JavaScript without dependencies, because it runs before any of
// them exist and on whatever Node the machine has.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The Node that runs the project: the pinned one that npm brought, else the machine's own. */
export function projectNode() {
  const pinned = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
  return existsSync(pinned) ? pinned : process.execPath;
}

/** Newest change below the given paths, in milliseconds, 0 where nothing exists. */
function newest(paths, ignore = () => false) {
  let latest = 0;
  for (const path of paths) {
    if (!existsSync(path) || ignore(path)) continue;
    const stat = statSync(path);
    if (stat.isDirectory()) {
      const children = readdirSync(path).map((name) => join(path, name));
      latest = Math.max(latest, newest(children, ignore));
    } else latest = Math.max(latest, stat.mtimeMs);
  }
  return latest;
}

function run(label, command, args, options = {}) {
  console.error(`tidegate: ${label} …`);
  const env = { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH}` };
  const done = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], env, ...options });
  if (done.status !== 0) {
    console.error(`tidegate: ${label} failed (${command} ${args.join(" ")})`);
    process.exit(done.status ?? 1);
  }
}

export function install() {
  const marker = join(root, "node_modules", ".package-lock.json");
  const wanted = newest([join(root, "package-lock.json"), join(root, "package.json")]);
  if (newest([marker]) >= wanted) return;
  // `npm ci` removes node_modules and with it any Node that runs from there, so only the machine's own starts it.
  run("installing dependencies", "npm", ["ci", "--loglevel=error", "--no-audit", "--no-fund"]);
  // The lock file may carry a newer time than what npm wrote; the marker records that it was followed.
  spawnSync("touch", [marker]);
}

const sources = [
  "time",
  "events",
  "rules",
  "stream",
  "gateway",
  "cloud",
  "dashboard",
  "simulator",
  "cli",
];

export function build({ force = false } = {}) {
  const ours = sources.map((name) => join(root, name));
  const page = join(root, "dashboard", "web");
  const built = newest([join(root, "dist", "cli", "main.js")]);
  const config = [join(root, "tsconfig.json"), join(root, "tsconfig.build.json")];
  const node = projectNode();
  const isTest = (path) => path.endsWith(".test.ts");
  if (
    force ||
    built <
      newest([...ours, ...config, join(root, "package-lock.json")], (p) => p === page || isTest(p))
  ) {
    run("compiling", node, [
      join(root, "node_modules", "typescript", "bin", "tsc"),
      "-p",
      "tsconfig.build.json",
    ]);
    spawnSync("touch", [join(root, "dist", "cli", "main.js")]);
  }
  const pageBuilt = newest([join(root, "dist", "dashboard", "public", "index.html")]);
  if (
    existsSync(join(page, "vite.config.ts")) &&
    (force || pageBuilt < newest([page, join(root, "package-lock.json")]))
  ) {
    run("building the dashboard page", node, [
      join(root, "node_modules", "vite", "bin", "vite.js"),
      "build",
      "--logLevel",
      "warn",
      "--config",
      join(page, "vite.config.ts"),
    ]);
    spawnSync("touch", [join(root, "dist", "dashboard", "public", "index.html")]);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  install();
  build();
}
