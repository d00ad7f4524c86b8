package tidegate.example;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.components.Versioned;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Values in CBOR for Kafka Connect's sinks, which has no converter for it. {@code as=map}, the default, gives maps without a
 * schema, as JsonConverter does with {@code schemas.enable=false}; {@code as=json} gives text, for sinks that write what they get.
 */
public final class CborConverter implements Converter, Versioned {
  private static final String AS = "as";
  /** Whole numbers are exact in a double up to here. */
  private static final double EXACT = 1L << 53;

  private final ObjectMapper cbor = new CBORMapper();
  private final ObjectMapper json = new ObjectMapper();
  private Function<Object, SchemaAndValue> told = value -> new SchemaAndValue(null, value);

  @Override
  public ConfigDef config() {
    return new ConfigDef()
        .define(
            AS,
            ConfigDef.Type.STRING,
            "map",
            ConfigDef.ValidString.in("map", "json"),
            ConfigDef.Importance.HIGH,
            "What a sink gets: `map` or `json`.");
  }

  @Override
  public void configure(Map<String, ?> settings, boolean isKey) {
    if ("json".equals(config().parse(settings).get(AS))) {
      told = value -> new SchemaAndValue(Schema.STRING_SCHEMA, text(value));
    }
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] value) {
    // A tombstone of a compacted topic.
    if (value == null) return SchemaAndValue.NULL;
    try {
      return told.apply(plain(cbor.readValue(value, Object.class)));
    } catch (IOException fault) {
      throw new DataException("not CBOR, in " + topic, fault);
    }
  }

  @Override
  public byte[] fromConnectData(String topic, Schema schema, Object value) {
    throw new DataException("CborConverter is for sinks: only Tidegate writes its topics");
  }

  @Override
  public String version() {
    return "1";
  }

  private String text(Object value) {
    try {
      return json.writeValueAsString(value);
    } catch (JsonProcessingException fault) {
      throw new DataException(fault);
    }
  }

  /** Whole numbers from 2^32 on come as doubles: as such, times would read 1.77E12. */
  private static Object plain(Object value) {
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> members = new LinkedHashMap<>();
      map.forEach((name, member) -> members.put(name, plain(member)));
      return members;
    }
    if (value instanceof List<?> list) return list.stream().map(CborConverter::plain).toList();
    if (value instanceof Integer whole) return whole.longValue();
    if (value instanceof Double || value instanceof Float) {
      double number = ((Number) value).doubleValue();
      if (number == Math.rint(number) && Math.abs(number) <= EXACT) return (long) number;
      return number;
    }
    return value;
  }
}
