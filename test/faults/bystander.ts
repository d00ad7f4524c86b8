/** Somebody who has nothing to do with readings: ordinary MQTT goes on while the disk fails. */
import { type EventEmitter, on } from "node:events";
import mqtt from "mqtt";

/** How long a message may take from one end to the other, ms: generous, it is no claim about speed. */
const WITHIN_MS = 10_000;

export class Bystander {
  #client: mqtt.MqttClient | undefined;
  #count = 0;

  async start(port: number): Promise<void> {
    this.#client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 50 });
    await this.#client.subscribeAsync("plain/#");
  }

  /** A message of QoS 0 and one of QoS 1 come back. @throws Error where one does not */
  async isServed(): Promise<void> {
    for (const qos of [0, 1] as const) {
      const client = this.#client;
      if (!client) throw new Error("not started");
      this.#count += 1;
      const content = String(this.#count);
      const signal = AbortSignal.timeout(WITHIN_MS);
      const comes = (async () => {
        for await (const [, payload] of on(client as unknown as EventEmitter, "message", {
          signal,
        })) {
          if (String(payload) === content) return;
        }
      })();
      // Not awaited: what counts is that it comes.
      client.publish("plain/topic", content, { qos });
      await comes.catch(() => {
        throw new Error(`an ordinary message of QoS ${qos} is not delivered`);
      });
    }
  }

  stop(): void {
    this.#client?.end(true);
    this.#client = undefined;
  }
}
