/**
 * One real Apache Kafka in a temporary folder: KRaft, broker and controller in one process, on free loopback ports.
 *
 * Promises: `start` resolves when Kafka says that it serves; `kill` and `start` again keep ports and data, so that a
 * client sees the same broker come back; whatever becomes of this process, Kafka ends with it (a shell between the two
 * kills Kafka when its standard input closes, which the kernel does even after kill -9).
 * A second listener is advertised at `proxyPort`, where a test may put a proxy in front of `proxiedPort`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { type FileHandle, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { kafkaJars } from "./kafka-jars.ts";

/** `-Xmx192m` died of it; 360 MB holds the tests' few thousand partitions' worth of work. */
const HEAP = "-Xmx360m";
const START_DEADLINE_MS = 180_000;
const CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg";
/**
 * Below the ports that the kernel gives to clients: a broker that is away for a while must find its port free, whatever
 * connects meanwhile. Other tests' programs and the benches take theirs elsewhere.
 */
const FIRST_PORT = 10_000;
const PORTS = 10_000;

/**
 * Starts `"$@"` without our standard input, and kills it as soon as that says something or ends, as it does when we die.
 * Unless it said `keep`, nobody will come back for the data in $FOLDER.
 */
const GUARD = `exec 3<&0
"$@" </dev/null &
child=$!
echo $child > "$FOLDER/pid"
{ read -r word <&3; kill -9 $child 2>/dev/null; [ "$word" = keep ] || { sleep 1; rm -rf "$FOLDER"; }; } &
trap "kill -TERM $child" TERM
wait $child
code=$?
trap - TERM
wait $child 2>/dev/null
exit $code`;

/** What a broker of a cluster is told of the others (kafka-cluster.ts). Ports that others are told may be proxies' ports. */
export interface ClusterNode {
  readonly id: number;
  readonly controllerPort: number;
  readonly advertisedControllerPort: number;
  /** `id@host:port` of all controllers, as the others reach them. */
  readonly voters: string;
  /** Where it listens for other brokers, and where they are told that it does. */
  readonly peersPort: number;
  readonly advertisedPeersPort: number;
}

export interface KafkaBrokerOptions {
  /** Default: alone. */
  readonly node?: ClusterNode;
  /** Of the second listener; default: free ones. */
  readonly proxyPort?: number;
  readonly proxiedPort?: number;
  /** Lines for server.properties that win over those made here. */
  readonly properties?: Readonly<Record<string, string>>;
  /** More listeners by name, each on a port of its own (`listenerPort`), with its security protocol. */
  readonly listeners?: Readonly<Record<string, "SSL" | "SASL_SSL" | "SASL_PLAINTEXT">>;
  /** What the listeners are told to be at, instead of 127.0.0.1. */
  readonly listenerHost?: string;
  /** Users with a SCRAM password from the first start on: `SCRAM-SHA-512=[name=…,password=…]`. */
  readonly scram?: readonly string[];
}

export class KafkaBroker {
  readonly #options: KafkaBrokerOptions;
  #folder: string | undefined;
  #ports: readonly number[] = [];
  #process: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(options: KafkaBrokerOptions = {}) {
    this.#options = options;
  }

  /** `host:port` for clients. */
  get address(): string {
    return `127.0.0.1:${this.#ports[0]}`;
  }
  /** Of one of the listeners in the options. */
  listenerPort(name: string): number {
    return this.#ports[4 + Object.keys(this.#options.listeners ?? {}).indexOf(name)] ?? 0;
  }
  /** Where Kafka listens for what comes through a proxy. */
  get proxiedPort(): number {
    return this.#options.proxiedPort ?? this.#ports[2] ?? 0;
  }
  /** What Kafka tells clients of the proxied listener: put the proxy here. */
  get proxyPort(): number {
    return this.#options.proxyPort ?? this.#ports[3] ?? 0;
  }

  /** Where its folder is; undefined before the first start. */
  get folder(): string | undefined {
    return this.#folder;
  }

  /** Stands still, as a machine that swaps or a virtual one that is moved: connections stand, and nothing is answered. */
  async pause(): Promise<void> {
    process.kill(await this.#pid(), "SIGSTOP");
  }

  /** Goes on where it stood, and knows of nothing that happened meanwhile. */
  async resume(): Promise<void> {
    process.kill(await this.#pid(), "SIGCONT");
  }

  async #pid(): Promise<number> {
    return Number(await readFile(join(this.#folder ?? "", "pid"), "utf8"));
  }

  /** Resolves when Kafka serves. Again after `kill` or `halt`: same ports, same data. @throws Error with the reason */
  async start(): Promise<void> {
    const jars = await kafkaJars();
    if (!jars.available) throw new Error(`No Kafka to test with: ${jars.reason}`);
    if (!this.#folder) {
      this.#folder = await mkdtemp(join(tmpdir(), "tidegate-kafka-"));
      this.#ports = await freePorts(4 + Object.keys(this.#options.listeners ?? {}).length);
      await this.#configure(this.#folder, jars.classpath);
    }
    const folder = this.#folder;
    const log = join(folder, "kafka.log");
    await writeFile(log, "");
    const java = [
      "java",
      HEAP,
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-Djava.awt.headless=true",
      `-Dlog4j2.configurationFile=${join(folder, "log4j2.properties")}`,
      "-cp",
      jars.classpath,
      "kafka.Kafka",
      join(folder, "server.properties"),
    ];
    const out = await open(join(folder, "out.log"), "w");
    const child = spawn("sh", ["-c", GUARD, "sh", ...java], {
      stdio: ["pipe", out.fd, out.fd],
      env: { ...process.env, FOLDER: folder },
    });
    await out.close();
    this.#process = child;
    this.#exited = once(child, "exit").then(() => child.stdin?.end("keep\n"));
    child.stdin?.on("error", () => {});
    await serving(log, child, START_DEADLINE_MS);
  }

  /** As a power cut: kill -9, data kept. */
  async kill(): Promise<void> {
    this.#process?.stdin?.end("keep\n");
    await this.#exited;
    this.#process = undefined;
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  async #configure(folder: string, classpath: string): Promise<void> {
    const [port, ownController] = this.#ports;
    const { proxiedPort, proxyPort } = this;
    const { listeners = {}, listenerHost = "127.0.0.1", scram = [], node } = this.#options;
    const controller = node?.controllerPort ?? ownController;
    const peers = (at: number | undefined) => (node ? `,PEERS://127.0.0.1:${at}` : "");
    // Voters tell each other where they are, and would go past the proxies.
    const voter = node ? `,CONTROLLER://127.0.0.1:${node.advertisedControllerPort}` : "";
    const more = Object.entries(listeners);
    const on = (host: string) =>
      more.map(([name]) => `,${name}://${host}:${this.listenerPort(name)}`).join("");
    const protocols = more.map(([name, protocol]) => `,${name}:${protocol}`).join("");
    const properties: Record<string, string> = {
      "process.roles": "broker,controller",
      "node.id": String(node?.id ?? 1),
      "controller.quorum.voters": node?.voters ?? `1@127.0.0.1:${controller}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller},PROXIED://127.0.0.1:${proxiedPort}${peers(node?.peersPort)}${on("127.0.0.1")}`,
      "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${proxyPort}${peers(node?.advertisedPeersPort)}${voter}${on(listenerHost)}`,
      "controller.listener.names": "CONTROLLER",
      "inter.broker.listener.name": node ? "PEERS" : "PLAINTEXT",
      "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,PEERS:PLAINTEXT${protocols}`,
      "log.dirs": join(folder, "data"),
      "num.partitions": "1",
      "default.replication.factor": "1",
      "min.insync.replicas": "1",
      "offsets.topic.replication.factor": "1",
      "offsets.topic.num.partitions": "2",
      "transaction.state.log.replication.factor": "1",
      "transaction.state.log.min.isr": "1",
      "transaction.state.log.num.partitions": "2",
      "share.coordinator.state.topic.replication.factor": "1",
      "share.coordinator.state.topic.min.isr": "1",
      "group.initial.rebalance.delay.ms": "0",
      "group.min.session.timeout.ms": "1000",
      "auto.create.topics.enable": "false",
      // A broker that was killed may register again once its old session is over: after 9 s by default.
      "broker.session.timeout.ms": "1000",
      "broker.heartbeat.interval.ms": "200",
      ...this.#options.properties,
    };
    await writeFile(
      join(folder, "server.properties"),
      Object.entries(properties)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(""),
    );
    await writeFile(
      join(folder, "log4j2.properties"),
      [
        "status=error",
        "appender.f.type=File",
        "appender.f.name=F",
        `appender.f.fileName=${join(folder, "kafka.log")}`,
        "appender.f.layout.type=PatternLayout",
        "appender.f.layout.pattern=[%d] %p %m (%c)%n",
        "rootLogger.level=INFO",
        "rootLogger.appenderRef.f.ref=F",
        "",
      ].join("\n"),
    );
    const format = spawn(
      "java",
      [
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        classpath,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        CLUSTER_ID,
        "-c",
        join(folder, "server.properties"),
        ...scram.flatMap((user) => ["--add-scram", user]),
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const said = text(format.stderr);
    const [code] = (await once(format, "close")) as [number];
    if (code !== 0) {
      throw new Error(`Kafka's storage could not be formatted (exit ${code}): ${await said}`);
    }
  }
}

/** Resolves at Kafka's own line that it serves; rejects with the end of its log when it ends before. */
async function serving(log: string, child: ChildProcess, deadlineMs: number): Promise<void> {
  const abort = new AbortController();
  const watcher = watch(log, { signal: abort.signal, persistent: true });
  watcher.on("error", () => {});
  let handle: FileHandle | undefined;
  try {
    handle = await open(log, "r");
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string) => {
        void readFile(log, "utf8").then(
          (text) => reject(new Error(`Kafka ${what}:\n${text.slice(-1500)}`)),
          reject,
        );
      };
      const timer = setTimeout(() => fail("did not start in time"), deadlineMs);
      timer.unref();
      abort.signal.addEventListener("abort", () => clearTimeout(timer));
      child.once("exit", () => fail("ended while starting"));
      const look = () => {
        void readFile(log, "utf8").then((text) => {
          if (text.includes("Kafka Server started")) resolve();
        }, reject);
      };
      watcher.on("change", look);
      look();
    });
  } finally {
    abort.abort();
    await handle?.close();
  }
}

/** Free now; taken a moment later only by bad luck, which `start` then reports. */
export async function freePorts(count: number): Promise<number[]> {
  const taken: Server[] = [];
  while (taken.length < count) {
    const server = createServer();
    server.listen(FIRST_PORT + Math.floor(Math.random() * PORTS), "127.0.0.1");
    const free = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (free) taken.push(server);
  }
  const ports = taken.map((server) => (server.address() as AddressInfo).port);
  for (const server of taken) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
