/** The gateway's broker, intake and buffer, without a log to forward to. Arguments: data directory. Prints its port. */
import { pino } from "pino";
import Type from "typebox";
import { Value } from "typebox/value";
import { type GatewaySettings, gatewaySettings } from "../gateway/config.ts";
import { Gateway } from "../gateway/gateway.ts";

const settings = Value.Default(Type.Object(gatewaySettings), {
  mqtt: { port: 0 },
  // Far more than a bench fills, so that the cap is not what is measured.
  buffer: { capacity_bytes: 64 * 1024 ** 3 },
}) as GatewaySettings;
const gateway = new Gateway({
  settings,
  dataDir: process.argv[2] ?? "",
  namespace: "telemetry",
  version: "bench",
  logger: pino({ level: "silent" }),
});
await gateway.start();
console.log(gateway.mqttPort);
