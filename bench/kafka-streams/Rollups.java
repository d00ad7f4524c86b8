/*
 * What cloud/rollups.core.ts does, on Kafka Streams with exactly_once_v2: the same events topic, the same windows, the same
 * records with the same headers. Arguments: broker, events topic, output topic, application id, state directory, commit
 * interval in ms. Prints 0 once it runs, then each 100 ms a line: records processed, commits.
 *
 * Written for speed, as somebody who knows Kafka Streams would:
 *  - All series of a gateway stand in its partition, so the Processor API aggregates where the reading is. The DSL's groupBy
 *    would write each metric to a repartition topic first.
 *  - Windows are emitted when the record cache is flushed, at commit or when it is full: what the DSL does, through the same
 *    internal listener. Updates of a window within a commit cost one record in the output and one in the changelog.
 *  - The cache holds every window that is open, so RocksDB is written at commits and hardly ever read. RocksDB is as it comes:
 *    a block cache and write buffers that all stores share saved neither time nor memory here, small ones cost much.
 *  - One thread, as we have: one producer and one transaction for all partitions.
 *
 * Less than ours in what this work does not need: it refuses nothing, keeps no readings for a clock that is not set, and
 * tells a duplicate only by its sequence being no higher than the last (journals come in order).
 */
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.dataformat.cbor.CBORFactory;
import com.fasterxml.jackson.dataformat.cbor.CBORGenerator;
import com.fasterxml.jackson.dataformat.cbor.CBORParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.internals.WrappedStateStore;

public final class Rollups {
  static final AtomicLong PROCESSED = new AtomicLong();
  static final CBORFactory CBOR = new CBORFactory();

  record Aggregate(long count, double min, double max, double sum) {
    static Aggregate with(Aggregate before, double value) {
      return before == null
          ? new Aggregate(1, value, value, value)
          : new Aggregate(
              before.count + 1,
              Math.min(before.min, value),
              Math.max(before.max, value),
              before.sum + value);
    }

    byte[] bytes() {
      return ByteBuffer.allocate(32).putLong(count).putDouble(min).putDouble(max).putDouble(sum).array();
    }

    static Aggregate of(byte[] bytes) {
      ByteBuffer from = ByteBuffer.wrap(bytes);
      return new Aggregate(from.getLong(), from.getDouble(), from.getDouble(), from.getDouble());
    }
  }

  static final Serde<Aggregate> AGGREGATES =
      Serdes.serdeFrom((topic, one) -> one == null ? null : one.bytes(), (topic, bytes) -> bytes == null ? null : Aggregate.of(bytes));

  enum Resolution {
    MINUTE("1m", Duration.ofMinutes(1), Duration.ofDays(7)),
    HOUR("1h", Duration.ofHours(1), Duration.ofDays(400));

    final String label;
    final Duration size;
    final Duration kept;
    final long ms;

    Resolution(String label, Duration size, Duration kept) {
      this.label = label;
      this.size = size;
      this.kept = kept;
      this.ms = size.toMillis();
    }
  }

  static final class Roller implements Processor<String, byte[], String, byte[]> {
    private final Resolution[] resolutions = Resolution.values();
    private InternalProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Long> seen;
    private WindowStore<String, Aggregate>[] windows;

    @Override
    @SuppressWarnings("unchecked")
    public void init(ProcessorContext<String, byte[]> given) {
      context = (InternalProcessorContext<String, byte[]>) given;
      seen = given.getStateStore("seen");
      windows = new WindowStore[resolutions.length];
      var self = context.currentNode();
      for (Resolution resolution : resolutions) {
        WindowStore<String, Aggregate> store = given.getStateStore(resolution.label);
        windows[resolution.ordinal()] = store;
        ((WrappedStateStore<?, Windowed<String>, Aggregate>) store)
            .setFlushListener(
                (flushed) -> {
                  var before = context.currentNode();
                  context.setCurrentNode(self);
                  try {
                    context.forward(rollup(resolution, flushed.key(), flushed.value().newValue, flushed.timestamp()));
                  } finally {
                    context.setCurrentNode(before);
                  }
                },
                false);
      }
    }

    @Override
    public void process(Record<String, byte[]> record) {
      PROCESSED.lazySet(PROCESSED.get() + 1);
      String id = header(record.headers(), "ce_id");
      int dash = id.indexOf('-');
      String journal = record.key() + "/" + id.substring(0, dash);
      long sequence = Long.parseLong(id, dash + 1, id.length(), 10);
      Long last = seen.get(journal);
      if (last != null && sequence <= last) return;
      seen.put(journal, sequence);
      if (!header(record.headers(), "ce_type").equals("tidegate.reading")) return;
      try {
        take(record.key(), record.value());
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private void take(String gateway, byte[] value) throws IOException {
      long received = 0;
      long time = Long.MIN_VALUE;
      String device = null;
      String[] metrics = new String[8];
      double[] values = new double[8];
      int count = 0;
      try (CBORParser parser = CBOR.createParser(value)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          JsonToken token = parser.nextToken();
          switch (name) {
            case "received" -> received = parser.getLongValue();
            case "time" -> time = parser.getLongValue();
            case "device" -> device = parser.getText();
            case "metrics" -> {
              while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String metric = parser.currentName();
                if (!parser.nextToken().isNumeric()) continue;
                if (count == metrics.length) {
                  metrics = java.util.Arrays.copyOf(metrics, count * 2);
                  values = java.util.Arrays.copyOf(values, count * 2);
                }
                metrics[count] = metric;
                values[count++] = parser.getDoubleValue();
              }
            }
            default -> {
              if (token.isStructStart()) parser.skipChildren();
            }
          }
        }
      }
      if (time == Long.MIN_VALUE) time = received;
      for (int i = 0; i < count; i++) {
        String series = gateway + "/" + device + "/" + metrics[i];
        for (Resolution resolution : resolutions) {
          WindowStore<String, Aggregate> store = windows[resolution.ordinal()];
          long window = Math.floorDiv(time, resolution.ms) * resolution.ms;
          store.put(series, Aggregate.with(store.fetch(series, window), values[i]), window);
        }
      }
    }

    private static String header(Headers headers, String name) {
      Header found = headers.lastHeader(name);
      return found == null ? "" : new String(found.value(), StandardCharsets.UTF_8);
    }
  }

  static final byte[] SPECVERSION = "1.0".getBytes(StandardCharsets.UTF_8);
  static final byte[] SOURCE = "/processors/rollups".getBytes(StandardCharsets.UTF_8);
  static final byte[] TYPE = "tidegate.rollup".getBytes(StandardCharsets.UTF_8);
  static final byte[] CONTENT = "application/cbor".getBytes(StandardCharsets.UTF_8);
  static final DateTimeFormatter ISO =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  private static long lastTime = Long.MIN_VALUE;
  private static byte[] lastText;

  /** Windows of a flush begin at the same few times; only the one stream thread calls. */
  private static byte[] iso(long ms) {
    if (ms != lastTime) {
      lastTime = ms;
      lastText = ISO.format(Instant.ofEpochMilli(ms)).getBytes(StandardCharsets.UTF_8);
    }
    return lastText;
  }

  private static final ByteArrayOutputStream BUFFER = new ByteArrayOutputStream(256);

  static Record<String, byte[]> rollup(
      Resolution resolution, Windowed<String> of, Aggregate aggregate, long timestamp) {
    long window = of.window().start();
    String series = of.key();
    int device = series.indexOf('/');
    int metric = series.indexOf('/', device + 1);
    String key = series + "/" + resolution.label + "/" + window;
    BUFFER.reset();
    try (CBORGenerator to = CBOR.createGenerator(BUFFER)) {
      to.writeStartObject(null, 10);
      to.writeStringField("gateway", series.substring(0, device));
      to.writeStringField("device", series.substring(device + 1, metric));
      to.writeStringField("metric", series.substring(metric + 1));
      to.writeStringField("resolution", resolution.label);
      to.writeNumberField("window", window);
      to.writeNumberField("count", aggregate.count);
      to.writeNumberField("min", aggregate.min);
      to.writeNumberField("max", aggregate.max);
      to.writeNumberField("sum", aggregate.sum);
      to.writeNumberField("revision", aggregate.count);
      to.writeEndObject();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    Headers headers = new RecordHeaders();
    headers.add("ce_specversion", SPECVERSION);
    headers.add("ce_id", (key + "@" + aggregate.count).getBytes(StandardCharsets.UTF_8));
    headers.add("ce_source", SOURCE);
    headers.add("ce_type", TYPE);
    headers.add("ce_time", iso(window));
    headers.add("content-type", CONTENT);
    return new Record<>(key, BUFFER.toByteArray(), timestamp, headers);
  }

  static Topology topology(String events, String rollups) {
    Topology topology = new Topology();
    topology.addSource("events", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), events);
    topology.addProcessor("roll", Roller::new, "events");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.Long())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of()),
        "roll");
    for (Resolution resolution : Resolution.values()) {
      topology.addStateStore(
          Stores.windowStoreBuilder(
                  Stores.persistentWindowStore(resolution.label, resolution.kept, resolution.size, false),
                  Serdes.String(),
                  AGGREGATES)
              .withCachingEnabled()
              .withLoggingEnabled(Map.of()),
          "roll");
    }
    topology.addSink("rollups", rollups, Serdes.String().serializer(), Serdes.ByteArray().serializer(), "roll");
    return topology;
  }

  public static void main(String[] args) throws InterruptedException {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[5]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 128L << 20);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "zstd");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    // The 10 s that Streams takes by itself are too few on a machine that others keep busy.
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 60_000);
    KafkaStreams streams = new KafkaStreams(topology(args[1], args[2]), settings);
    CountDownLatch running = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) running.countDown();
          if (now == KafkaStreams.State.ERROR) System.exit(1);
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    running.await();
    System.out.println(0);
    while (true) {
      Thread.sleep(100);
      System.out.println(PROCESSED.get() + " " + commits(streams));
    }
  }

  private static Metric commits;

  private static long commits(KafkaStreams streams) {
    if (commits == null) {
      streams.metrics().forEach((name, metric) -> {
        if (name.name().equals("commit-total") && name.group().equals("stream-thread-metrics")) commits = metric;
      });
    }
    return commits == null ? 0 : ((Number) commits.metricValue()).longValue();
  }
}
