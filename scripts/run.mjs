// `npm start`, `npm run demo`, `npm run bench`: set up what is missing, then run it on the pinned Node.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, install, projectNode, root } from "./setup.mjs";

const [first, ...rest] = process.argv.slice(2);
install();
build();
const args =
  first === "--bench"
    ? [join(root, "bench", `${rest[0] ?? "all"}.ts`), ...rest.slice(1)]
    : ["--enable-source-maps", join(root, "dist", "cli", "main.js"), first, ...rest];
const child = spawn(projectNode(), args, { stdio: "inherit" });
// Ctrl-C reaches the child through the terminal; a signal sent to this process alone must be passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
