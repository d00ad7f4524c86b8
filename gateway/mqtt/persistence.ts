/**
 * aedes' persistence, with what must outlive a restart: subscriptions of persistent sessions, and the ids of QoS 2
 * messages. aedes keeps retained messages, queues of what waits for offline sessions and wills in memory.
 *
 * Its functions are replaced one by one on the object that aedes made, because the package of its types and classes is
 * aedes' dependency and not ours.
 */
import type { Handshakes } from "./handshakes.ts";
import type { Qos } from "./session-notes.core.ts";
import type { Sessions } from "./sessions.ts";
import type { SubscriberCheck } from "./subscriber-check.ts";

interface ClientRef {
  readonly id: string;
}
interface PacketRef {
  readonly cmd?: string;
  readonly messageId: number;
}
interface Subscription {
  readonly topic: string;
  readonly qos: Qos;
}

export interface AedesPersistence {
  addSubscriptions(client: ClientRef, subscriptions: readonly Subscription[]): Promise<void>;
  removeSubscriptions(client: ClientRef, filters: readonly string[]): Promise<void>;
  cleanSubscriptions(client: ClientRef): Promise<void>;
  incomingStorePacket(client: ClientRef, packet: PacketRef): Promise<void>;
  incomingGetPacket(client: ClientRef, packet: PacketRef): Promise<PacketRef>;
  incomingDelPacket(client: ClientRef, packet: PacketRef): Promise<void>;
  cleanIncoming(client: ClientRef): Promise<void>;
}

/** Gives aedes the subscriptions that are known, and keeps those to come. */
export async function keepSessions(
  persistence: AedesPersistence,
  sessions: Sessions,
  handshakes: Handshakes,
  subscribers: SubscriberCheck,
): Promise<void> {
  keepHandshakes(persistence, handshakes);
  const add = persistence.addSubscriptions.bind(persistence);
  const remove = persistence.removeSubscriptions.bind(persistence);
  for (const { client, subscriptions } of sessions) {
    if (subscriptions.size === 0) continue;
    for (const filter of subscriptions.keys()) subscribers.add(filter);
    await add(
      { id: client },
      [...subscriptions].map(([topic, qos]) => ({ topic, qos })),
    );
  }
  persistence.addSubscriptions = async (client, subscriptions) => {
    // aedes passes on the whole SUBSCRIBE, also what was refused in it.
    const granted = subscriptions.filter(({ topic }) => !topic.startsWith("$SYS"));
    await add(client, granted);
    const held = sessions.get(client.id)?.subscriptions;
    for (const { topic } of granted) if (held && !held.has(topic)) subscribers.add(topic);
    await sessions.subscribe(
      client.id,
      granted.map(({ topic, qos }) => [topic, qos]),
    );
  };
  persistence.removeSubscriptions = async (client, filters) => {
    await remove(client, filters);
    const held = sessions.get(client.id)?.subscriptions;
    for (const filter of filters) if (held?.has(filter)) subscribers.remove(filter);
    await sessions.unsubscribe(client.id, filters);
  };
}

/** aedes asks for an incoming packet to know whether a PUBLISH is new, and whether there is one that a PUBREL ends. */
function keepHandshakes(persistence: AedesPersistence, handshakes: Handshakes): void {
  persistence.incomingStorePacket = async () => {};
  persistence.incomingGetPacket = async ({ id }, packet) => {
    const known =
      packet.cmd === "pubrel"
        ? handshakes.find(id, packet.messageId) !== undefined
        : !handshakes.deliver(id, packet.messageId);
    if (!known) throw new Error("no such packet");
    return packet;
  };
  persistence.incomingDelPacket = ({ id }, { messageId }) => handshakes.release(id, messageId);
  // A clean session's end is seen where sessions begin and end.
  persistence.cleanIncoming = async () => {};
}
