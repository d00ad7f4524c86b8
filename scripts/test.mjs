// `npm test`: set up what is missing, then run vitest on the pinned Node. Arguments go to vitest.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, install, projectNode, root } from "./setup.mjs";

install();
build();
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const child = spawn(projectNode(), [vitest, "run", ...process.argv.slice(2)], {
  stdio: "inherit",
  cwd: root,
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
