/**
 * Which messages that are sent again docs/mqtt.md promises to recognise, from what the device wrote. It promises less than the
 * gateway does: a sending that is not named here may be stored or recognised.
 *
 * - QoS 2: on the same connection; in a persistent session over any.
 * - QoS 1: in a persistent session the first repeat, on the connection of the first sending or the next one, fewer than 64
 *   publishes later, of a client that never used an id again within 64 publishes; unless another one was sent again since
 *   that is not promised, for that one may count as an id that was used again.
 */
import type { SentReading, SentWrite } from "./oracle-sent.ts";

/** Publishes of a session that the gateway remembers. */
const REMEMBERED = 64;

/**
 * @param readings of one device: one session of its broker, as long as that keeps its buffer
 * @param persistent whether the device asked for its session to be kept
 */
export function promisedRecognitions(
  readings: readonly SentReading[],
  persistent: boolean,
): Set<SentWrite> {
  const all = readings.flatMap(({ writes }) => writes).sort((a, b) => a.order - b.order);
  const atQos1 = all.filter(({ qos }) => qos === 1);
  const places = new Map(atQos1.map((write, place) => [write, place]));
  const trusted = persistent && neverEarly(atQos1);
  const befores = new Map(
    readings.flatMap(({ writes }) => writes.map((write, index) => [write, writes[index - 1]])),
  );
  const promised = new Set<SentWrite>();
  let doubtful = -1;
  for (const write of all) {
    const before = befores.get(write);
    // A second message on purpose, under another id, is what the repeats after it are repeats of.
    if (!before || write.fresh || !write.dup || write.messageId !== before.messageId) continue;
    const across = write.connection - before.connection;
    if (write.qos === 2 && (persistent || across === 0)) promised.add(write);
    if (write.qos !== 1) continue;
    const place = places.get(write) ?? 0;
    const since = place - (places.get(before) ?? 0);
    const near = before.fresh && across <= 1 && since < REMEMBERED;
    if (trusted && near && doubtful < place - since) promised.add(write);
    else doubtful = place;
  }
  return promised;
}

/** Whether it came over this connection or another, as a message or a repeat: what is counted between is messages alone. */
function neverEarly(writes: readonly SentWrite[]): boolean {
  const last = new Map<number, number>();
  let messages = 0;
  return writes.every(({ messageId, fresh }) => {
    const before = last.get(messageId);
    if (fresh) messages += 1;
    last.set(messageId, messages);
    return !fresh || before === undefined || messages - before > REMEMBERED;
  });
}
