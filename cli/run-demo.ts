/** Everything on one machine with a simulated fleet on real MQTT connections, and rules that it breaks now and then. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { demoFleet } from "../simulator/demo.ts";
import { Fleet } from "../simulator/fleet.ts";
import { STOPPED, untilSignal } from "./lifetime.ts";
import { addresses, type StartSettings, shownHost, startAll, whatToTry } from "./run-start.ts";
import { packageRoot, VERSION } from "./version.ts";

/** No device of the fleet is called so, and the rules' pattern takes it for a freezer. */
const FREE_NAME = "freezer-9";

export async function runDemo(given: StartSettings): Promise<void> {
  const rules = given.rules ?? join(packageRoot, "docs", "examples", "rules.yaml");
  const settings = { ...given, rules };
  // History is sent once: a second start on the same data goes on where the first ended.
  const first = !existsSync(join(settings.data_dir, "gateway.json"));
  const started = await startAll(settings);
  const fleet = new Fleet(
    demoFleet({
      host: shownHost(settings.mqtt.host),
      port: started.gateway.mqttPort,
      ...(first ? {} : { backfillMs: 0 }),
    }),
  );
  await fleet.start();
  console.log(`Tidegate ${VERSION} is running with a simulated fleet of ${fleet.progress().devices} devices.

${addresses(settings, started)}
${first ? "The fleet first sends two hours of made-up history. " : ""}Open the dashboard. In half a minute freezer-2 begins to warm up, and its alert comes and goes.
Try, in another terminal:

${whatToTry(settings, started, FREE_NAME)}
${given.rules === undefined ? `${FREE_NAME} is then too warm, too: its alert fires after 10 s of the gateway's time (rule freezer-warm).\n` : ""}Ctrl-C stops it.
`);
  const stop = async () => {
    await fleet.stop();
    await started.stop();
  };
  await untilSignal(stop, started.logger, STOPPED);
}
