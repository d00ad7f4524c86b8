package tidegate.example;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The mean of each metric of each device over five minutes of event time, exactly once, from {@code <namespace>.readings.v1} to
 * {@code <namespace>.means}: key {@code gateway/device@start}, value JSON, {@code {"temperature":{"count":3,"mean":-18.5}}}.
 * A window changes as long as readings for it come, up to a day late.
 */
public final class DeviceMeans {
  private static final Duration WINDOW = Duration.ofMinutes(5);
  private static final Duration GRACE = Duration.ofDays(1);
  private static final ObjectMapper CBOR = new CBORMapper();
  private static final ObjectMapper JSON = new ObjectMapper();

  private DeviceMeans() {}

  public static void main(String[] args) {
    if (args.length != 2) throw new IllegalArgumentException("usage: DeviceMeans BROKERS NAMESPACE");
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1] + "-device-means");
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    // It also makes the consumer read only what was committed.
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    String state = System.getenv("STATE_DIRECTORY");
    if (state != null) settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
    KafkaStreams streams = new KafkaStreams(topology(args[1]), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.start();
  }

  static Topology topology(String namespace) {
    StreamsBuilder builder = new StreamsBuilder();
    Consumed<String, Map<String, Object>> readings =
        Consumed.with(Serdes.String(), cbor(new TypeReference<Map<String, Object>>() {}))
            // The record's timestamp is when it was sent; windows go by when the reading was true.
            .withTimestampExtractor(
                (record, partitionTime) ->
                    ((Number) ((Map<?, ?>) record.value()).get("time")).longValue());
    builder
        .stream(namespace + ".readings.v1", readings)
        .groupByKey()
        .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
        .aggregate(
            HashMap::new,
            (device, reading, sums) -> added(sums, (Map<?, ?>) reading.get("metrics")),
            Materialized.with(Serdes.String(), cbor(new TypeReference<Map<String, double[]>>() {})))
        .toStream((window, sums) -> window.key() + "@" + window.window().start())
        .mapValues(DeviceMeans::told)
        .to(namespace + ".means", Produced.with(Serdes.String(), Serdes.String()));
    return builder.build();
  }

  /** Count and sum of each metric that is a number; others are texts, true or false. */
  private static Map<String, double[]> added(Map<String, double[]> sums, Map<?, ?> metrics) {
    metrics.forEach(
        (name, value) -> {
          if (!(value instanceof Number number)) return;
          double[] sum = sums.computeIfAbsent((String) name, one -> new double[2]);
          sum[0] += 1;
          sum[1] += number.doubleValue();
        });
    return sums;
  }

  private static String told(Map<String, double[]> sums) {
    Map<String, Map<String, Number>> means = new TreeMap<>();
    sums.forEach((name, sum) -> means.put(name, Map.of("count", (long) sum[0], "mean", sum[1] / sum[0])));
    try {
      return JSON.writeValueAsString(means);
    } catch (IOException fault) {
      throw new UncheckedIOException(fault);
    }
  }

  private static <T> Serde<T> cbor(TypeReference<T> type) {
    return Serdes.serdeFrom(
        (topic, value) -> {
          try {
            return value == null ? null : CBOR.writeValueAsBytes(value);
          } catch (IOException fault) {
            throw new UncheckedIOException(fault);
          }
        },
        (topic, bytes) -> {
          try {
            return bytes == null ? null : CBOR.readValue(bytes, type);
          } catch (IOException fault) {
            throw new UncheckedIOException(fault);
          }
        });
  }
}
