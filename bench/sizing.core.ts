/**
 * What a fleet of some size needs behind its gateways: arithmetic over measured figures (docs/performance.md, `npm run bench -- wire`,
 * `-- scale`). Pure. All of it is linear but the bytes of a reading, which go by how many share a batch; what is linear here
 * and was never tried at that size is told in docs/scale.md.
 */

/** What a reader puts his own numbers in for. */
export interface Assumptions {
  readonly gateways: number;
  /** What they are divided into, each with topics, processors and a dashboard of its own. */
  readonly namespaces: number;
  /** Of each gateway. */
  readonly devices: number;
  /** Numbers in a reading. */
  readonly metrics: number;
  /** Between two readings of one device, s. */
  readonly everySeconds: number;
  /** `forwarder.linger_ms` / 1000. */
  readonly lingerSeconds: number;
  /** `heartbeat_interval_ms` and `status_interval_ms` / 1000. */
  readonly heartbeatSeconds: number;
  readonly statusSeconds: number;
  /** `rollups.minute_keep_days` and `hour_keep_days`. */
  readonly minuteDays: number;
  readonly hourDays: number;
  /** Copies of each topic. */
  readonly replicas: number;
  /** How much of a core is planned to be in use. */
  readonly busy: number;
  /** Brokers' disks and an object store, € for a GB (10⁹ bytes) and month. */
  readonly diskPrice: number;
  readonly objectPrice: number;
}

export const USUAL: Omit<Assumptions, "gateways"> = {
  ...{ namespaces: 1, devices: 20, metrics: 6, everySeconds: 60 },
  ...{ lingerSeconds: 0, heartbeatSeconds: 10, statusSeconds: 5 },
  ...{ minuteDays: 7, hourDays: 400, replicas: 3, busy: 0.5 },
  ...{ diskPrice: 0.08, objectPrice: 0.02 },
};

/** The three fleets of docs/scale.md, each with what is to be set for it. */
export const FLEETS: readonly Assumptions[] = [
  { ...USUAL, gateways: 10 },
  { ...USUAL, gateways: 1000, lingerSeconds: 10, heartbeatSeconds: 30, statusSeconds: 30 },
  {
    ...USUAL,
    ...{
      gateways: 100_000,
      namespaces: 20,
      lingerSeconds: 60,
      heartbeatSeconds: 60,
      statusSeconds: 60,
    },
    ...{ minuteDays: 1, hourDays: 90 },
  },
];

/** Readings in a batch, bytes of each on the wire and on a broker's disk. Bench `wire`, six numbers. */
export const BATCHES: readonly (readonly [readings: number, wire: number, kept: number])[] = [
  [1, 554, 410],
  [10, 92, 68],
  [50, 37, 32],
  [100, 29, 26],
  [500, 23, 22],
  [2000, 22, 22],
];

/** Bench `scale`, six numbers in a reading: the dearest of its three fleets, in which hardly anything coalesces. */
export const MEASURED = {
  /** All processors of `tidegate cloud`, CPU µs a reading. */
  cloudMicros: 640,
  /** `tidegate dashboard`, which follows everything, CPU µs a reading. */
  dashboardMicros: 280,
  /** A broker: for each request with one small batch, and for each reading that the processors turn into rollups, CPU µs. */
  requestMicros: 190,
  brokerMicros: 95,
  /** A window in the topic of rollups, B. */
  rollupBytes: 29,
  /** A window in the processors' state, B, in LevelDB; the changelog has about as much once it is compacted. */
  stateBytes: 16,
  /** Of the gateway's state and its answer on the wire, B. */
  statusWireBytes: 620,
  /** A heartbeat that goes alone, as a reading does. */
  heartbeatWireBytes: 540,
  /** Of a gateway in what the pages ask for first, B. */
  gatewayPageBytes: 547,
  /** Of one gateway. */
  connections: 2,
} as const;

const SECONDS_A_YEAR = 365 * 86_400;
const MINUTES_A_DAY = 1440;
const HOURS_A_DAY = 24;
/** Processors with so many partitions each can be doubled twice before partitions run out. */
const PARTITIONS_A_CORE = 4;
const LEAST_PARTITIONS = 6;
/** More connections than this on one broker need its threads and limits looked after. */
const CONNECTIONS_A_BROKER = 10_000;
const LEAST_BROKERS = 3;
const BROKER_CORES = 4;

export interface Sizing {
  readonly devices: number;
  readonly series: number;
  readonly readingsPerSecond: number;
  readonly readingsPerBatch: number;
  readonly wireBytes: number;
  readonly keptBytes: number;
  readonly requestsPerSecond: number;
  readonly connections: number;
  /** Of one gateway, MB a month. */
  readonly linkMegabytes: number;
  readonly cloudCores: number;
  readonly partitions: number;
  readonly brokerCores: number;
  readonly brokers: number;
  /** Of one namespace's. */
  readonly dashboardCores: number;
  readonly pageMegabytes: number;
  /** With all copies, GB. */
  readonly rawYear: number;
  readonly rollups: number;
  /** On the processors' disks, GB. */
  readonly state: number;
  readonly rawYearDiskEuros: number;
  /** One copy, which the object store keeps safe by itself. */
  readonly rawYearObjectEuros: number;
}

export function sizing(of: Assumptions): Sizing {
  const devices = of.gateways * of.devices;
  const series = devices * of.metrics;
  const own = of.devices / of.everySeconds;
  const readingsPerSecond = own * of.gateways;
  // What waits for the linger goes with what began it.
  const readingsPerBatch = Math.max(1, own * of.lingerSeconds);
  const [wireBytes, keptBytes] = bytesOf(readingsPerBatch);
  // Heartbeats go with a batch where one is waiting for company, else alone.
  const alone = of.lingerSeconds > 0 ? 0 : 1 / of.heartbeatSeconds;
  const ownRequests = own / readingsPerBatch + alone + 1 / of.statusSeconds;
  const requestsPerSecond = ownRequests * of.gateways;
  const linkBytes =
    own * wireBytes +
    alone * MEASURED.heartbeatWireBytes +
    MEASURED.statusWireBytes / of.statusSeconds;
  const cores = (micros: number) => micros / 1e6 / of.busy;
  const cloudCores = cores(readingsPerSecond * MEASURED.cloudMicros);
  const brokerCores = cores(
    requestsPerSecond * MEASURED.requestMicros + readingsPerSecond * MEASURED.brokerMicros,
  );
  const connections = of.gateways * MEASURED.connections;
  const windows = of.minuteDays * MINUTES_A_DAY + of.hourDays * HOURS_A_DAY;
  const eventsPerSecond = readingsPerSecond + of.gateways / of.heartbeatSeconds;
  const yearOnce = (eventsPerSecond * SECONDS_A_YEAR * keptBytes) / 1e9;
  return {
    ...{ devices, series, readingsPerSecond, readingsPerBatch, wireBytes, keptBytes },
    ...{ requestsPerSecond, connections, cloudCores, brokerCores },
    linkMegabytes: (linkBytes * 30 * 86_400) / 1e6,
    partitions: partitionsFor(cloudCores / of.namespaces),
    brokers: Math.max(
      LEAST_BROKERS,
      Math.ceil((brokerCores * of.replicas) / BROKER_CORES),
      Math.ceil(connections / CONNECTIONS_A_BROKER),
    ),
    dashboardCores: cores((readingsPerSecond * MEASURED.dashboardMicros) / of.namespaces),
    pageMegabytes: (of.gateways * MEASURED.gatewayPageBytes) / of.namespaces / 1e6,
    rawYear: yearOnce * of.replicas,
    rollups: (series * windows * MEASURED.rollupBytes * of.replicas) / 1e9,
    state: (series * windows * MEASURED.stateBytes) / 1e9,
    rawYearDiskEuros: yearOnce * of.replicas * of.diskPrice * 12,
    rawYearObjectEuros: yearOnce * of.objectPrice * 12,
  };
}

/** Between two sizes that were measured by the logarithm of the size: bytes fall with it. */
function bytesOf(readings: number): readonly [wire: number, kept: number] {
  const next = BATCHES.findIndex(([size]) => size >= readings);
  const [to, from] = [BATCHES.at(next), BATCHES[Math.max(0, next - 1)]];
  if (!to || !from) throw new Error("no sizes were measured");
  const span = Math.log(to[0] / from[0]);
  const share = span === 0 ? 0 : Math.log(Math.min(readings, to[0]) / from[0]) / span;
  const between = (at: 1 | 2) => from[at] * (to[at] / from[at]) ** share;
  return [between(1), between(2)];
}

/** Fixed for the life of the topics, so there is room to grow: a power of two, or six. */
function partitionsFor(cloudCores: number): number {
  const wanted = Math.max(LEAST_PARTITIONS, cloudCores * PARTITIONS_A_CORE);
  return wanted <= LEAST_PARTITIONS ? LEAST_PARTITIONS : 2 ** Math.ceil(Math.log2(wanted));
}

const count = (value: number) =>
  value >= 10 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(2)));

const ROWS: readonly (readonly [name: string, show: (of: Assumptions, s: Sizing) => string])[] = [
  ["namespaces", (of) => count(of.namespaces)],
  ["devices, series", (_, s) => `${count(s.devices)}, ${count(s.series)}`],
  ["readings/s", (_, s) => count(s.readingsPerSecond)],
  ["`linger_ms`", (of) => count(of.lingerSeconds * 1000)],
  ["heartbeat, status each, s", (of) => `${of.heartbeatSeconds}, ${of.statusSeconds}`],
  ["readings in a batch", (_, s) => count(s.readingsPerBatch)],
  ["B on the wire, on disk, a reading", (_, s) => `${count(s.wireBytes)}, ${count(s.keptBytes)}`],
  ["link of one gateway, MB a month", (_, s) => count(s.linkMegabytes)],
  ["produce requests/s", (_, s) => count(s.requestsPerSecond)],
  ["connections to brokers, at least", (_, s) => count(s.connections)],
  ["cores of the processors", (_, s) => count(s.cloudCores)],
  ["`topics.partitions` of each namespace", (_, s) => count(s.partitions)],
  ["cores of the brokers, one copy", (_, s) => count(s.brokerCores)],
  ["brokers of 4 cores", (_, s) => count(s.brokers)],
  ["cores of each dashboard", (_, s) => count(s.dashboardCores)],
  ["first answer for a page, MB", (_, s) => count(s.pageMegabytes)],
  ["rollups kept, days of minutes, hours", (of) => `${of.minuteDays}, ${of.hourDays}`],
  ["topic of rollups, GB in all copies", (_, s) => count(s.rollups)],
  ["processors' state on disk, GB", (_, s) => count(s.state)],
  ["a year of raw events, GB in all copies", (_, s) => count(s.rawYear)],
  ["what that year costs on brokers' disks, € a year", (_, s) => count(s.rawYearDiskEuros)],
  ["the same as one copy in an object store, € a year", (_, s) => count(s.rawYearObjectEuros)],
];

export function sizingTable(fleets: readonly Assumptions[]): string {
  const sized = fleets.map((of) => [of, sizing(of)] as const);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["gateways", ...fleets.map(({ gateways }) => count(gateways))]),
    line(["---", ...fleets.map(() => "---:")]),
    ...ROWS.map(([name, show]) => line([name, ...sized.map(([of, s]) => show(of, s))])),
  ].join("\n");
}
