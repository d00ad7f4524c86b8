/**
 * The rollup processor beside Kafka Streams (bench/kafka-streams) on the same topics: readings for each second of processor
 * time, with few updates for each window of a commit and with many. Both write the same rollups, or the bench fails. Then
 * our memory over many readings, and how long the work of a killed process stands still.
 *
 *   npm run bench -- processors [readings] [rounds] [readings of the memory run]
 *
 * Alternating rounds of one run. Kafka Streams commits after a time, we after so many records of a partition; so it is run
 * twice, with the 100 ms that it takes for exactly once by itself, and with the time that our commits were apart.
 */
import { loadavg } from "node:os";
import { pino } from "pino";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { streamsProgram } from "./kafka-streams/program.ts";
import { withDirectory } from "./processes.ts";
import { startOurs, startStreams } from "./processor-contenders.ts";
import { fillJournals, GATEWAYS, PARTITIONS } from "./processor-journals.ts";
import { type Contender, type Place, type Round, race, watch } from "./processor-race.ts";
import { takeover } from "./processor-takeover.ts";
import { median, ratios, table, verdict } from "./report.ts";

const whole = (readings: number) => Math.ceil(readings / GATEWAYS) * GATEWAYS;
const READINGS = whole(Number(process.argv[2] ?? 2_000_000));
const ROUNDS = Number(process.argv[3] ?? 2);
const MEMORY_READINGS = whole(Number(process.argv[4] ?? 10_000_000));
const SERIES = [4_000, 40_000] as const;
/** What Kafka Streams takes with exactly_once_v2 where nothing is set. */
const STREAMS_COMMIT_MS = 100;
/** Our memory's samples. */
const MEMORY_POINTS = 10;
const MIB_OF_400_MB = 400e6 / 1024 ** 2;

function contenders(command: readonly string[] | undefined): readonly Contender[] {
  const ours: Contender = {
    ...{ name: "Tidegate", rounds: [], partitionsOfCommit: 1, start: startOurs },
  };
  if (!command) return [ours];
  const streams = (name: string, commitMs: () => number): Contender => ({
    ...{ name: `Kafka Streams, ${name}`, rounds: [], partitionsOfCommit: PARTITIONS },
    start: async (job) => await startStreams(command, commitMs(), job),
  });
  return [
    ours,
    streams(`${STREAMS_COMMIT_MS} ms`, () => STREAMS_COMMIT_MS),
    streams("our interval", () => Math.round(median(ours.rounds.map((round) => round.commitMs)))),
  ];
}

function tell(series: number, [ours, ...others]: readonly Contender[]): void {
  if (!ours) return;
  console.log(`\n${series.toLocaleString("en")} series\n`);
  console.log(
    table(
      [ours, ...others].map(({ name, rounds }) => {
        const of = (what: (round: Round) => number) => median(rounds.map(what));
        return {
          program: name,
          "readings a CPU second, warm": of((round) => round.warm),
          "from the start, cold": of((round) => round.cold),
          "readings/s": of((round) => round.perSecond),
          "commits of a partition, ms apart": of((round) => round.commitMs),
          "records emitted a reading": of((round) => round.emitted / READINGS),
          "most MiB": of((round) => round.mostMiB),
        };
      }),
    ),
  );
  const warm = ({ rounds }: Contender) => rounds.map((round) => round.warm);
  console.log();
  for (const other of others) {
    const shares = ratios(warm(ours), warm(other));
    console.log(`  rounds, ${other.name}: ${shares.map((one) => one.toFixed(2)).join(", ")}`);
    console.log(
      verdict(`a CPU second, warm, against ${other.name}`, median(shares), "at least", 1),
    );
  }
  const most = Math.max(...ours.rounds.map((round) => round.mostMiB));
  console.log(verdict("most memory", most, "at most", MIB_OF_400_MB, "MiB"));
}

async function memory({ log, broker, directory }: Place): Promise<void> {
  const [series] = SERIES;
  const namespace = "memory";
  const work = { namespace, readings: MEMORY_READINGS, series };
  const records = await fillJournals(log, work);
  const running = await startOurs({ broker, directory, source: namespace, namespace });
  try {
    const { looks, mostMiB } = await watch(running, records, 1);
    const points = Array.from({ length: MEMORY_POINTS }, (_, i) => {
      const from = (i * records) / MEMORY_POINTS;
      const to = ((i + 1) * records) / MEMORY_POINTS;
      const within = looks.filter(({ processed }) => processed > from && processed <= to);
      return { readings: Math.round(to), "median MiB": median(within.map((look) => look.rssMiB)) };
    });
    console.log(`\nTidegate's memory, ${series.toLocaleString("en")} series\n`);
    console.log(table(points));
    const half = points.slice(points.length / 2).map((point) => point["median MiB"]);
    const second = points[1]?.["median MiB"] ?? Number.NaN;
    console.log();
    console.log(verdict("most memory", mostMiB, "at most", MIB_OF_400_MB, "MiB"));
    console.log(verdict("second half / second tenth", median(half) / second, "at most", 1.1));
  } finally {
    await running.stop();
  }
}

async function everything(place: Place): Promise<void> {
  const { log, broker, directory } = place;
  const program = await streamsProgram(directory);
  console.log(
    `${READINGS.toLocaleString("en")} readings of two metrics from ${GATEWAYS} gateways, ${PARTITIONS} partitions, ${ROUNDS} rounds in turn; medians; load at the start ${loadavg()[0]?.toFixed(1)}`,
  );
  if (!program.available) console.log(`no Kafka Streams: ${program.reason}`);
  for (const series of SERIES) {
    const racing = contenders(program.available ? program.command : undefined);
    await race(place, { series, readings: READINGS, rounds: ROUNDS }, racing);
    tell(series, racing);
  }
  if (MEMORY_READINGS > 0) await memory(place);
  const lost = await takeover(log, broker, directory, 40_000);
  console.log(
    `\na process killed with ${lost.partitions} of ${PARTITIONS} partitions, ${lost.series.toLocaleString("en")} series\n`,
  );
  const { restoredSeconds, seconds } = lost;
  console.log(`  until another one held all of them, restored: ${restoredSeconds.toFixed(1)} s`);
  console.log(verdict("until it had counted what came since", seconds, "at most", 15, "s"));
}

const jars = await kafkaJars();
if (jars.available) {
  const kafka = new KafkaBroker({ properties: { "log.segment.bytes": String(2 ** 28) } });
  await kafka.start();
  const broker = kafka.address;
  const logger = pino({ level: "error" });
  const log = new KafkaEventLog({ brokers: [broker], clientId: "bench", logger });
  try {
    await log.start();
    await withDirectory(async (directory) => await everything({ log, broker, directory }));
  } finally {
    await log.stop();
    await kafka.stop();
  }
} else console.log(`no Kafka: ${jars.reason}`);
