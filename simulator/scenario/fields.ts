/** What the schemas of a scenario are made of: quantities, groups, stretches of time. */
import Type, { type Static, type TSchema } from "typebox";
import { QUANTITIES, type QuantityName } from "./friendly.core.ts";

/** Ten thousand devices are what one process carries; far beyond it, somebody has a digit too many. */
export const MAX_COUNT = 100_000;

interface Options {
  readonly default?: unknown;
  readonly description: string;
}

export const quantity = (name: QuantityName, options: Options) =>
  Type.Unsafe<string>({ quantity: name, "x-kind": QUANTITIES[name].name, ...options });
/** A share may be a number too. */
export const share = (options: Options) =>
  Type.Unsafe<string | number>({ quantity: "share", "x-kind": QUANTITIES.share.name, ...options });
export const closed = <Properties extends Record<string, TSchema>>(
  properties: Properties,
  description?: string,
) =>
  Type.Object(properties, {
    additionalProperties: false,
    ...(description ? { description } : {}),
  });
export const count = (value: number, description: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_COUNT,
      default: value,
      "x-kind": "number",
      description,
    }),
  );
export const pattern = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      default: "*",
      "x-kind": "pattern",
      description: `Which ${what}; \`*\` stands for any characters.`,
    }),
  );

/** One or the other, told apart so that a fault is told about the one that was meant. */
export function either<One extends TSchema, Other extends TSchema>(
  condition: object,
  one: One,
  other: Other,
  options: object,
) {
  return Type.Unsafe<Static<One> | Static<Other>>({
    if: condition,
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
    then: one,
    else: other,
    ...options,
  });
}

const stretch = closed({
  at: Type.Optional(
    quantity("duration", { description: "From the beginning of the run; or `every`." }),
  ),
  every: Type.Optional(
    quantity("positive", {
      description:
        "By chance: on average one in so long, the pauses spread as chance does; or `at`.",
    }),
  ),
  for: quantity("positive", {
    description: "How long it lasts; by chance between half and one and a half of it.",
  }),
});
export type RawStretch = Static<typeof stretch>;
export const stretchSchema = stretch;

export const outages = (description: string) =>
  Type.Optional(
    either({ type: "array" }, Type.Array(stretch, { maxItems: 1000 }), stretch, {
      "x-kind": "stretches",
      default: "never",
      description,
    }),
  );
export type RawOutages = RawStretch | RawStretch[];

/** @returns the default that the schema states for a key; undefined where it has none */
export function defaultOf(schema: { readonly properties: object }, key: string): unknown {
  const properties = schema.properties as Readonly<Record<string, { readonly default?: unknown }>>;
  return properties[key]?.default;
}
