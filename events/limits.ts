/** Limits of the contract. Whoever writes an event keeps within them; whoever reads one may rely on them. */

/** Longest device or metric name, in UTF-16 code units. Names go into keys and pages; no real one comes near. */
export const MAX_NAME_LENGTH = 128;

/** Most metrics in one reading. A Sparkplug birth of a large machine has some hundreds. */
export const MAX_METRICS = 1024;

/** Longest text value of a metric, in UTF-16 code units: states and short words, not documents. */
export const MAX_TEXT_VALUE_LENGTH = 1024;

/** What a rejected event keeps of the payload it is about, in bytes; `size` says how long it was. */
export const MAX_REJECTED_PAYLOAD_BYTES = 4096;

/** Largest journal event, in encoded bytes: far below Kafka's default of 1 MiB for a whole batch. */
export const MAX_EVENT_BYTES = 512 * 1024;
