/**
 * The one packet of aedes that is changed on its way to the socket: it counts a session as present only where it has
 * subscriptions, and MQTT wherever it is held [MQTT-3.2.2-2].
 */

const CONNACK = 0x20;
const CONNACK_BYTES = 4;
const NOTHING = Buffer.alloc(0);

export class ConnackMender {
  sessionPresent = false;
  /** What aedes wrote so far of its CONNACK; undefined once that is out. */
  #written: Buffer | undefined = NOTHING;

  /** @returns what may go to the socket now */
  mend(chunk: Buffer): Buffer {
    if (this.#written === undefined) return chunk;
    const all = Buffer.concat([this.#written, chunk]);
    if (all.length < CONNACK_BYTES) {
      this.#written = all;
      return NOTHING;
    }
    this.#written = undefined;
    // [MQTT-3.2.2-4] Only with the return code 0.
    if (all[0] === CONNACK && all[3] === 0) all[2] = this.sessionPresent ? 1 : 0;
    return all;
  }
}
