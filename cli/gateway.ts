/** `tidegate gateway`: the edge alone. */
import { Command } from "commander";
import { addFlags, givenFlags } from "./flags.ts";

export function gatewayCommand(): Command {
  const command = new Command("gateway")
    .summary("the edge alone: MQTT broker, buffer, forwarder to Kafka")
    .description(
      "Takes readings over MQTT, acknowledges them once they are on disk, and forwards them to Kafka. Without brokers it buffers.",
    );
  addFlags(
    command,
    ["dataDir", "mqttPort", "httpPort", "gatewayId", "brokers", "namespace", "logLevel"],
    { brokers: "Kafka to forward to; without it readings wait in the buffer" },
  );
  command.addHelpText(
    "after",
    `
Examples:
  tidegate gateway --brokers kafka-1:9092,kafka-2:9092
  tidegate gateway --config gateway.yaml --data-dir /var/lib/tidegate
  tidegate gateway                             buffers until brokers are set`,
  );
  return command.action(async (options: { readonly config?: string }) => {
    const { runGateway } = await import("./run-gateway.ts");
    const { loadProgram } = await import("./programs.ts");
    await runGateway(loadProgram("gateway", options.config, givenFlags({ ...options })));
  });
}
