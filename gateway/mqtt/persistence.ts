/**
 * aedes' persistence, with what must outlive a restart: subscriptions of persistent sessions. aedes keeps retained
 * messages, queues of what waits for offline sessions and wills in memory.
 *
 * Its functions are replaced one by one on the object that aedes made, because the package of its types and classes is
 * aedes' dependency and not ours.
 */
import type { Qos } from "./session-notes.core.ts";
import type { Sessions } from "./sessions.ts";
import type { SubscriberCheck } from "./subscriber-check.ts";

interface ClientRef {
  readonly id: string;
}
interface RetainedPacket {
  readonly topic: string;
  readonly payload: Buffer;
}
interface Subscription {
  readonly topic: string;
  readonly qos: Qos;
}

export interface AedesPersistence {
  storeRetained(packet: RetainedPacket): PromiseLike<void>;
  addSubscriptions(client: ClientRef, subscriptions: readonly Subscription[]): Promise<void>;
  removeSubscriptions(client: ClientRef, filters: readonly string[]): Promise<void>;
  cleanSubscriptions(client: ClientRef): Promise<void>;
}

/** Gives aedes the subscriptions that are known, and keeps those to come. */
export async function keepSessions(
  persistence: AedesPersistence,
  sessions: Sessions,
  subscribers: SubscriberCheck,
): Promise<void> {
  storeRetainedAtOnce(persistence);
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
    const held = sessions.get(client.id)?.subscriptions;
    if (held && !hasRoom(held, granted)) {
      throw new Error("too many subscriptions in a persistent session");
    }
    await add(client, granted);
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

/**
 * A session is written whole with each change of it, so it has to stay small. A SUBSCRIBE that goes beyond it closes its
 * connection.
 */
export const MAX_SESSION_SUBSCRIPTIONS = 1000;
/** Of all its filters together. */
export const MAX_SESSION_FILTER_CHARACTERS = 64 * 1024;

function hasRoom(held: ReadonlyMap<string, Qos>, more: readonly Subscription[]): boolean {
  const filters = new Set([...held.keys(), ...more.map(({ topic }) => topic)]);
  let characters = 0;
  for (const filter of filters) characters += filter.length;
  return filters.size <= MAX_SESSION_SUBSCRIPTIONS && characters <= MAX_SESSION_FILTER_CHARACTERS;
}

/**
 * aedes sends a retained message a promise later than one that is not, so that the next message overtakes it, and its
 * subscribers drop for a repetition whatever was overtaken. In memory it is stored when the call returns, so nobody has
 * to wait.
 */
function storeRetainedAtOnce(persistence: AedesPersistence): void {
  const store = persistence.storeRetained.bind(persistence);
  const done: PromiseLike<void> = {
    // biome-ignore lint/suspicious/noThenProperty: what calls back at once is the point
    then: (stored) => {
      stored?.();
      return done as never;
    },
  };
  persistence.storeRetained = (packet) => {
    void store(packet);
    return done;
  };
}
