/** What the event schemas (schema.ts) are made of. */
import Type, { type Static, type TSchema } from "typebox";
import { MAX_NAME_LENGTH } from "./limits.ts";

export const time = Type.Number({ description: "milliseconds since 1970-01-01T00:00:00Z" });
export const count = Type.Integer({ minimum: 0 });
export const sequence = Type.Integer({ minimum: 1 });
export const name = Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH });
export const text = Type.String();
export const bytes = Type.Unsafe<Uint8Array>({ bytes: true });
/** `[from, to]`, both included. */
export const range = Type.Tuple([sequence, sequence]);

/**
 * One of some words, each with its meaning: that is part of the contract too, and a changed one is found like a removed word.
 */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  meanings: Readonly<Record<Word, string>>,
) {
  return Type.Unsafe<Word>(Type.Enum([...words], { "x-meanings": meanings }));
}

/** Values by name. No Type.Record: its pattern for names passes by those with a line break, and what they hold. */
export function byName<Value extends TSchema>(value: Value, limits: object = {}) {
  return Type.Unsafe<Record<string, Static<Value>>>({
    type: "object",
    additionalProperties: value,
    "x-names": { minLength: 1, maxLength: MAX_NAME_LENGTH },
    ...limits,
  });
}

export const CLOCKS = ["device", "synced", "restamped", "unsynced"] as const;
/** How the time of an event was come by. */
export type Clock = (typeof CLOCKS)[number];

export const clock = oneOf(CLOCKS, {
  device: "the device gave the time",
  synced: "the gateway's clock was right at receipt",
  restamped: "the gateway's clock was wrong at receipt and the time was put right before sending",
  unsynced: "nobody knew the time; a `tidegate.clock` of the same boot may tell it later",
});

/** What every journal event says of the moment the gateway took it in. */
export const stamp = {
  received: Type.Number({ description: "the gateway's clock at receipt, ms since 1970" }),
  clock,
  boot: Type.String({ description: "id of the gateway's boot, so that `uptime` can be compared" }),
  uptime: Type.Number({ description: "the gateway's monotonic clock at receipt, ms since boot" }),
};
