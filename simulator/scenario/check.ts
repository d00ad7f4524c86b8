/** A scenario against its schema: every fault in words, with its place, and what would be right. */
import { Ajv, type ErrorObject } from "ajv";
import { pathOf, type Report } from "../../rules/yaml-file.ts";
import { isQuantity, QUANTITIES, type QuantityName } from "./friendly.core.ts";
import { type RawScenario, scenarioSchema } from "./schema.ts";

const ajv = new Ajv({ allErrors: true, strict: false, verbose: true });
ajv.addKeyword({
  keyword: "quantity",
  schemaType: "string",
  validate: (name: string, data: unknown) =>
    isQuantity(name) && QUANTITIES[name].read(data) !== undefined,
});
// What only code can give: a function.
ajv.addKeyword({
  keyword: "code",
  schemaType: "boolean",
  validate: (wanted: boolean, data: unknown) => (typeof data === "function") === wanted,
});
const validate = ajv.compile(scenarioSchema);

/** Holds for what has no fault in its structure; what the parts mean together is looked at by build.ts. */
export function checkStructure(content: unknown, report: Report): content is RawScenario {
  if (validate(content)) return true;
  for (const error of validate.errors ?? []) explain(error, report);
  return false;
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list: begin each part with "- "',
  object: 'a map: write its keys below it, like "name: …"',
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
};

function explain(error: ErrorObject, report: Report): void {
  const path = pathOf(error.instancePath);
  const key = path.findLast((step) => typeof step === "string");
  const what =
    path.length === 0 ? "the scenario" : typeof path.at(-1) === "number" ? `each of ${key}` : key;
  const given = shown(error.data);
  const parent = error.parentSchema as {
    readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  };
  const limit = error.params.limit as number;
  switch (error.keyword) {
    case "if":
      // What is wrong inside of the one that was meant is told.
      return;
    case "additionalProperties": {
      const unknown = String(error.params.additionalProperty);
      const known = Object.keys(parent.properties ?? {}).join(", ");
      report([...path, unknown], `unknown key "${unknown}"; known are ${known}`, true);
      return;
    }
    case "required": {
      const missing = String(error.params.missingProperty);
      const about = parent.properties?.[missing]?.description ?? "";
      report(path, `"${missing}" is missing here: ${about.replace(/[.,;] .*|\.$/s, "")}`);
      return;
    }
    case "quantity":
      report(
        path,
        `${what} is ${given}; it must be ${QUANTITIES[error.schema as QuantityName].hint}`,
      );
      return;
    case "enum":
      report(
        path,
        `${what} is ${given}; it must be one of ${(error.params.allowedValues as unknown[]).join(", ")}`,
      );
      return;
    case "const":
      report(
        path,
        `${what} can only be ${String(error.params.allowedValue)}; leave it out otherwise`,
      );
      return;
    case "pattern":
      report(
        path,
        `${what} is ${given}; it must be letters, digits, "_", "." and "-", beginning with a letter or digit, at most ${key === "name" && path.length === 1 ? 64 : 60}`,
      );
      return;
    case "type":
      report(
        path,
        `${what} is ${given}; it must be ${[error.params.type]
          .flat()
          .map((type) => TYPES[String(type)])
          .join(" or ")}`,
      );
      return;
    case "minimum":
      report(path, `${what} is ${given}; it must be ${limit} or more`);
      return;
    case "maximum":
      report(path, `${what} is ${given}; it must be ${limit} at most`);
      return;
    case "minItems":
    case "minProperties":
      report(path, `${what} has nothing in it; give at least ${limit}`);
      return;
    default:
      report(path, `${what} ${error.message}`);
  }
}

function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a map";
  return value === null || value === undefined ? "empty" : JSON.stringify(value);
}
