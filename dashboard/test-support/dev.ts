/** Serves the page over the fake plant, to look at it while it is built: `node dashboard/test-support/dev.ts [port] [empty]`. */

import { FakeReadModel } from "./fake-read-model.ts";
import { fillPlant, stepPlant } from "./plant.ts";
import { createDashboardServer } from "./server.ts";

const model = new FakeReadModel();
if (process.argv[3] !== "empty") {
  fillPlant(model, Date.now());
  setInterval(() => stepPlant(model, Date.now()), 1000);
  setInterval(() => {
    const harbour = model.gatewayViews.get("harbour");
    if (harbour?.status) {
      model.setGateway({ ...harbour, status: { ...harbour.status, time: Date.now() } });
    }
  }, 10_000);
}
const server = createDashboardServer({
  readModel: model,
  port: Number(process.argv[2] ?? 0),
  version: "0.1.0",
  hints: { mqttPort: 1883 },
});
await server.start();
process.stdout.write(`${server.address?.url}\n`);
