// `npm run test:cluster`: set up what is missing, then the long form of the cluster under faults on the pinned Node.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { install, projectNode, root } from "./setup.mjs";

install();
const program = join(root, "test", "cluster", "run.ts");
const child = spawn(projectNode(), [program, ...process.argv.slice(2)], { stdio: "inherit" });
// Ctrl-C reaches the child through the terminal; a signal sent to this process alone must be passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
