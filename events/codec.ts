/**
 * CBOR (RFC 8949) in and out. Decoding is a boundary: what comes back fits its schema or a CodecError says what
 * does not, so that nothing behind it has to look again.
 */
import { Ajv, type ValidateFunction } from "ajv";
import { Encoder, type Options } from "cbor-x";
import { EVENT_SCHEMAS, type EventOf, type EventType } from "./schema.ts";

// Without int64AsNumber a 64-bit integer becomes a BigInt that breaks arithmetic far away. Plain maps, no records
// extension, no tags for JavaScript's own types: any CBOR reader understands what is written.
const settings: Options & { int64AsNumber: boolean } = {
  useRecords: false,
  mapsAsObjects: true,
  int64AsNumber: true,
  tagUint8Array: false,
  variableMapSize: true,
};
const cbor = new Encoder(settings);

// strictNumbers: NaN and the infinities are no times, counts or values; as one they would poison every sum behind.
const ajv = new Ajv({ strict: false, strictNumbers: true, allErrors: false });
ajv.addKeyword({
  keyword: "bytes",
  validate: (wanted: boolean, value: unknown) => !wanted || value instanceof Uint8Array,
});
const validators = new Map<EventType, ValidateFunction>();

/** An event that is not what its type says. `code` is `not_cbor` or `schema`. */
export class CodecError extends Error {
  readonly code: "not_cbor" | "schema";
  constructor(code: "not_cbor" | "schema", message: string) {
    super(message);
    this.name = "CodecError";
    this.code = code;
  }
}

function validator(type: EventType): ValidateFunction {
  let found = validators.get(type);
  if (!found) {
    found = ajv.compile(EVENT_SCHEMAS[type]);
    validators.set(type, found);
  }
  return found;
}

/** The event as CBOR. The caller vouches for its shape; `checkEvent` is for what comes from outside. */
export function encodeEvent<T extends EventType>(_type: T, event: EventOf<T>): Uint8Array {
  return cbor.encode(event);
}

/** @throws CodecError where the value does not fit the type's schema. */
export function checkEvent<T extends EventType>(type: T, value: unknown): EventOf<T> {
  const validate = validator(type);
  if (validate(value)) return value as EventOf<T>;
  const fault = validate.errors?.[0];
  throw new CodecError("schema", `${type}${fault?.instancePath ?? ""} ${fault?.message ?? "?"}`);
}

/** @throws CodecError where the bytes are not CBOR or not an event of this type. */
export function decodeEvent<T extends EventType>(type: T, bytes: Uint8Array): EventOf<T> {
  return checkEvent(type, decodeCbor(bytes));
}

/** Any CBOR value, unchecked. @throws CodecError where the bytes are not exactly one CBOR item. */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    return cbor.decode(bytes);
  } catch (error) {
    throw new CodecError("not_cbor", `not CBOR: ${(error as Error).message}`);
  }
}

/** Any plain value as CBOR, with the same settings as events: for state and other private storage. */
export function encodeCbor(value: unknown): Uint8Array {
  return cbor.encode(value);
}
