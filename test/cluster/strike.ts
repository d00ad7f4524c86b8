/** How each kind of fault strikes, and how it is over. Each resolves when what it took away is there again. */
import { existsSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type KafkaCluster, NODES, type NodeId } from "../kafka/kafka-cluster.ts";
import type { Peer } from "./peer.ts";
import { type Kind, oneOf, type Step } from "./schedule.core.ts";

export interface Arena {
  readonly cluster: KafkaCluster;
  readonly processors: readonly Peer[];
  /** Processes of many gateways, and those of one. */
  readonly gateways: readonly Peer[];
  readonly ones: readonly Peer[];
  /** One line for whoever wants to know what happened. */
  note(text: string): void;
}

type Strike = (arena: Arena, step: Step) => Promise<void>;

/** Answers that are lost at most, at one broker. */
const MOST_LOST = 30;
/** After its start; it takes about a second until it sends. */
const LATEST_SECOND_KILL_MS = 2500;
/** Each way, ms. */
const SLOWEST_MS = 300;

const onBroker =
  (work: (arena: Arena, id: NodeId, step: Step) => Promise<void>): Strike =>
  async (arena, step) => {
    const id = oneOf(NODES, step.whom);
    await work(arena, id, step);
  };

async function restartBrokers(arena: Arena, ids: readonly NodeId[], awayMs: number): Promise<void> {
  const { cluster, note } = arena;
  note(`brokers ${ids} are killed`);
  await cluster.killBrokers(ids);
  await pause(awayMs);
  await cluster.startBrokers(ids);
  note(`brokers ${ids} serve again`);
}

/** Kills a process, and starts it again after a while. */
async function restart(
  { note }: Arena,
  peer: Peer,
  { awayMs, meanwhile, signal = "SIGKILL" }: Restart,
): Promise<void> {
  await peer.inTurn(async () => {
    note(`${peer.name} gets ${signal}`);
    await peer.end(signal);
    const done = await meanwhile?.(peer);
    await pause(awayMs);
    await peer.start();
    note(`${peer.name} is there again${done ? `, with its state ${done}` : ""}`);
  });
}

interface Restart {
  readonly awayMs: number;
  readonly signal?: "SIGKILL" | "SIGTERM";
  /** @returns what became of its state */
  meanwhile?(peer: Peer): Promise<string | undefined>;
}

/** As a machine that swaps, or one that is moved: the others give it up, and it knows nothing of it. */
async function standStill({ note }: Arena, peer: Peer, ms: number): Promise<void> {
  await peer.inTurn(async () => {
    note(`${peer.name} stands still`);
    peer.signal("SIGSTOP");
    await pause(ms);
    peer.signal("SIGCONT");
    note(`${peer.name} goes on`);
  });
}

const stateOf = (peer: Peer) => join(peer.directory, "state");
const olderStateOf = (peer: Peer) => join(peer.directory, "state-older");

async function keepState(peer: Peer): Promise<string> {
  if (!existsSync(olderStateOf(peer)) && existsSync(stateOf(peer))) {
    await cp(stateOf(peer), olderStateOf(peer), { recursive: true });
  }
  return "kept";
}

async function deleteState(peer: Peer): Promise<string> {
  await rm(stateOf(peer), { recursive: true, force: true });
  return "deleted";
}

/** The copy of the first kill; the next one is made anew. */
async function olderState(peer: Peer): Promise<string> {
  if (!existsSync(olderStateOf(peer))) return await keepState(peer);
  await rm(stateOf(peer), { recursive: true, force: true });
  await cp(olderStateOf(peer), stateOf(peer), { recursive: true });
  await rm(olderStateOf(peer), { recursive: true });
  return "of before";
}

const onProcessor =
  (meanwhile: Restart["meanwhile"] | undefined, signal?: "SIGTERM"): Strike =>
  async (arena, { whom, lastsMs }) => {
    const peer = oneOf(arena.processors, whom);
    await restart(arena, peer, {
      awayMs: lastsMs,
      ...(meanwhile ? { meanwhile } : {}),
      ...(signal ? { signal } : {}),
    });
  };

const loseAnswers = (api: "produce" | "endTxn"): Strike =>
  onBroker(async ({ cluster, note }, id, { force, lastsMs }) => {
    const count = Math.ceil(force * MOST_LOST);
    note(`broker ${id}: ${count} answers to ${api} are lost`);
    cluster.proxy(id).dropAnswers(api, count);
    await pause(lastsMs);
    cluster.proxy(id).dropAnswers(api, 0);
  });

export const STRIKES: Readonly<Record<Kind, Strike>> = {
  "kill broker": onBroker((arena, id, { lastsMs }) => restartBrokers(arena, [id], lastsMs)),
  "kill two brokers": onBroker((arena, left, { lastsMs }) =>
    restartBrokers(
      arena,
      NODES.filter((id) => id !== left),
      lastsMs,
    ),
  ),
  "kill all brokers": (arena, { lastsMs }) => restartBrokers(arena, NODES, lastsMs),
  "kill everything": async (arena, { lastsMs }) => {
    const { cluster, processors, gateways, ones, note } = arena;
    const peers = [...processors, ...gateways, ...ones];
    // Everybody is dead before anybody is started: brokers last, as they would notice.
    const { promise: allDead, resolve } = Promise.withResolvers<void>();
    let alive = peers.length;
    const restarted = peers.map((peer) =>
      peer.inTurn(async () => {
        await peer.end("SIGKILL");
        alive -= 1;
        if (alive === 0) resolve();
        await allDead;
        await pause(lastsMs);
        await peer.start();
      }),
    );
    await Promise.race([allDead, Promise.all(restarted)]);
    note("all processors and gateways are dead");
    await restartBrokers(arena, NODES, lastsMs);
    await Promise.all(restarted);
    note(`everything is there again, ${cluster.addresses.length} brokers and all`);
  },
  "stop broker": onBroker(async ({ cluster, note }, id, { lastsMs }) => {
    note(`broker ${id} stands still`);
    await cluster.broker(id).pause();
    try {
      await pause(lastsMs);
    } finally {
      await cluster.broker(id).resume();
    }
    note(`broker ${id} goes on`);
  }),
  "part broker from brokers": onBroker(async ({ cluster, note }, id, { lastsMs }) => {
    note(`broker ${id} does not reach the others, nor they it`);
    const over = cluster.isolate(id);
    try {
      await pause(lastsMs);
    } finally {
      over();
    }
    note(`broker ${id} reaches the others`);
  }),
  "part broker from clients": onBroker(async ({ cluster, note }, id, { lastsMs, force }) => {
    // Of gateways, of processors, or of both nothing comes through.
    const whose = oneOf(["gateway", "processors", ""], force);
    note(`broker ${id} does not hear ${whose || "any client"}`);
    cluster.proxy(id).lose((clientId) => clientId.endsWith(whose));
    try {
      await pause(lastsMs);
    } finally {
      cluster.proxy(id).lose(undefined);
    }
    note(`broker ${id} hears all`);
  }),
  "hang answers": onBroker(async ({ cluster, note }, id, { lastsMs }) => {
    note(`broker ${id} is heard by no client`);
    cluster.proxy(id).hang(true);
    await pause(lastsMs);
    cluster.proxy(id).hang(false);
    note(`broker ${id} is heard again, but for what it said meanwhile`);
  }),
  "refuse connections": onBroker(async ({ cluster, note }, id, { lastsMs }) => {
    note(`broker ${id} takes no connection`);
    cluster.proxy(id).refuse(true);
    await pause(lastsMs);
    cluster.proxy(id).refuse(false);
    note(`broker ${id} takes connections`);
  }),
  "cut connections": onBroker(async ({ cluster, note }, id) => {
    note(`broker ${id}: all connections are cut`);
    cluster.proxy(id).cut();
  }),
  "slow network": onBroker(async ({ cluster, note }, id, { lastsMs, force }) => {
    const delay = Math.ceil(force * SLOWEST_MS);
    note(`broker ${id} is ${delay} ms away`);
    cluster.proxy(id).slow(delay);
    await pause(lastsMs);
    cluster.proxy(id).slow(0);
    note(`broker ${id} is near`);
  }),
  "lose produce answers": loseAnswers("produce"),
  "lose commit answers": loseAnswers("endTxn"),
  "kill processor, state kept": onProcessor(keepState),
  "kill processor, state deleted": onProcessor(deleteState),
  "kill processor, older state put back": onProcessor(olderState),
  "end processor in order": onProcessor(undefined, "SIGTERM"),
  "kill all processors": async (arena, { lastsMs }) => {
    const { processors } = arena;
    await Promise.all(processors.map((peer) => restart(arena, peer, { awayMs: lastsMs })));
  },
  "stop processor": (arena, { whom, lastsMs }) =>
    standStill(arena, oneOf(arena.processors, whom), lastsMs),
  "kill gateways": (arena, { whom, lastsMs }) =>
    restart(arena, oneOf(arena.gateways, whom), { awayMs: lastsMs }),
  "kill all gateways": async (arena, { lastsMs }) => {
    const peers = [...arena.gateways, ...arena.ones];
    await Promise.all(peers.map((peer) => restart(arena, peer, { awayMs: lastsMs })));
  },
  "stop gateways": (arena, { whom, lastsMs }) =>
    standStill(arena, oneOf(arena.gateways, whom), lastsMs),
  "kill one gateway": (arena, { whom, lastsMs }) =>
    restart(arena, oneOf(arena.ones, whom), { awayMs: lastsMs }),
  "kill one gateway twice": async (arena, { whom, lastsMs, force }) => {
    const peer = oneOf(arena.ones, whom);
    // The second time while it looks its store over, or has just begun to send what was in flight.
    const meanwhile = async () => {
      await peer.startAndKill(force * LATEST_SECOND_KILL_MS);
      arena.note(`${peer.name} is killed again as it starts`);
      return undefined;
    };
    await restart(arena, peer, { awayMs: lastsMs, meanwhile });
  },
  "stop one gateway": (arena, { whom, lastsMs }) =>
    standStill(arena, oneOf(arena.ones, whom), lastsMs),
};
