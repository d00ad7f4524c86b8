/**
 * Settings of a program from one YAML file, environment variables and flags, in that order of rising strength.
 *
 * Every fault is reported at once, each with where it stands: the line of the file, the variable, the flag. Nothing but
 * this module reads the environment or a configuration file; what it returns is frozen.
 */
import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import type { TObject } from "typebox";
import { isMap, isScalar, LineCounter, type Pair, parseDocument } from "yaml";

export interface Sources {
  /** Path of a YAML file; undefined for none. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Dotted path of a setting to the flag's name and its text. */
  readonly flags: ReadonlyMap<string, { readonly flag: string; readonly text: string }>;
}

export class SettingsError extends Error {
  readonly code = "settings";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    const lead = faults.length === 1 ? "" : `${faults.length} faults in the configuration:\n  `;
    super(lead + faults.join("\n  "));
    this.name = "SettingsError";
    this.faults = faults;
  }
}

type Tree = { [key: string]: unknown };

/** A leaf of the schema: its dotted path and JSON type. */
export interface Leaf {
  readonly path: string;
  readonly type: string;
  readonly description: string;
  readonly default: unknown;
  /** What to write, for people, where the schema has a pattern for machines: its keyword `x-form`. */
  readonly form: string | undefined;
  /** Bounds of a number, both included. */
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  /** Never printed: its keyword `x-secret`. */
  readonly secret: boolean;
}

interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly description?: string;
  readonly default?: unknown;
  readonly "x-form"?: string;
  readonly "x-secret"?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** The leaves of an object schema, in its order. */
export function leavesOf(schema: object, prefix = ""): Leaf[] {
  const { properties = {} } = schema as SchemaNode;
  return Object.entries(properties).flatMap(([key, node]) => {
    const path = prefix + key;
    if (node.type === "object") return leavesOf(node, `${path}.`);
    const { type = "string", description = "", minimum, maximum } = node;
    const form = node["x-form"];
    const secret = node["x-secret"] ?? false;
    return [{ path, type, description, default: node.default, form, minimum, maximum, secret }];
  });
}

/** `mqtt.port` → `TIDEGATE_MQTT_PORT`. */
export function environmentName(path: string): string {
  return `TIDEGATE_${path.replaceAll(".", "_").toUpperCase()}`;
}

/** Stands for a secret that is set; as a value it is refused, so that what was printed is not taken for it. */
const MASK = "(set, not shown)";

/** The settings as they may be printed. */
export function withoutSecrets<T>(schema: object, settings: T): T {
  const copy = structuredClone(settings);
  for (const leaf of leavesOf(schema)) {
    if (!leaf.secret) continue;
    const { parent, key } = parentOf(copy as Tree, leaf.path);
    if (parent?.[key] !== undefined) parent[key] = MASK;
  }
  return copy;
}

/** Of a dotted path, where there is one. */
function parentOf(tree: Tree, path: string): { parent: Tree | undefined; key: string } {
  const keys = path.split(".");
  const key = keys.pop() ?? "";
  const parent = keys.reduce<Tree | undefined>(
    (node, one) => node?.[one] as Tree | undefined,
    tree,
  );
  return { parent, key };
}

/** Variables of that prefix which are not settings. */
const OTHER_VARIABLES = new Set(["TIDEGATE_DEBUG"]);

/** @throws SettingsError with every fault found */
export function loadSettings<T>(schema: TObject, sources: Sources): T {
  const leaves = new Map(leavesOf(schema).map((leaf) => [leaf.path, leaf]));
  const faults: string[] = [];
  const where = new Map<string, string>();
  const tree: Tree = {};

  const file = sources.file === undefined ? undefined : readYaml(sources.file, faults);
  if (file) Object.assign(tree, file.tree);

  for (const [name, text] of Object.entries(sources.env)) {
    if (!name.startsWith("TIDEGATE_") || text === undefined || OTHER_VARIABLES.has(name)) continue;
    const leaf = [...leaves.values()].find((one) => environmentName(one.path) === name);
    if (!leaf)
      faults.push(
        `${name}: no such setting${meant(name, [...leaves.keys()].map(environmentName))}`,
      );
    else set(tree, leaf, text, name, where);
  }
  for (const [path, { flag, text }] of sources.flags) {
    const leaf = leaves.get(path);
    if (leaf) set(tree, leaf, text, flag, where);
    else faults.push(`${flag}: this command does not take it`);
  }

  const validate = new Ajv({ allErrors: true, useDefaults: true, strict: false }).compile(schema);
  if (!validate(tree)) {
    for (const error of validate.errors ?? []) {
      const { path, problem } = explain(error, leaves, tree);
      const at = where.get(path) ?? file?.position(path);
      faults.push(
        at ? `${at}: ${where.has(path) ? "" : `${path} `}${problem}` : `${path} ${problem}`,
      );
    }
  }
  for (const leaf of leaves.values()) {
    if (!leaf.secret) continue;
    const { parent, key } = parentOf(tree, leaf.path);
    if (parent?.[key] !== MASK) continue;
    const at = where.get(leaf.path) ?? file?.position(leaf.path);
    faults.push(
      `${at}: ${leaf.path} is what is printed in the place of a secret: write the secret`,
    );
  }
  if (faults.length > 0) throw new SettingsError([...new Set(faults)]);
  return deepFreeze(tree) as T;
}

function set(tree: Tree, leaf: Leaf, text: string, name: string, where: Map<string, string>): void {
  let node = tree;
  const keys = leaf.path.split(".");
  for (const key of keys.slice(0, -1)) {
    const child = node[key];
    // What is not an object there is a fault of the file, which validation reports.
    node[key] = typeof child === "object" && child !== null ? child : {};
    node = node[key] as Tree;
  }
  node[keys.at(-1) ?? ""] = coerce(leaf.type, text);
  where.set(leaf.path, name);
}

/** Text that does not fit its type stays text, so that validation says so. */
function coerce(type: string, text: string): unknown {
  if (type === "integer" || type === "number")
    return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (type === "boolean") return text === "true" || text === "false" ? text === "true" : text;
  if (type === "array") {
    return text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  }
  return text;
}

function readYaml(
  path: string,
  faults: string[],
): { tree: Tree; position: (path: string) => string } | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    faults.push(`${path}: ${missing ? "no such file" : (error as Error).message}`);
    return undefined;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  for (const error of document.errors) {
    faults.push(`${at(error.pos[0])}: ${error.message.split("\n")[0]?.replace(/ at line.*/, "")}`);
  }
  if (document.errors.length > 0) return undefined;
  const tree = document.toJS({ maxAliasCount: 100 }) ?? {};
  if (typeof tree !== "object" || Array.isArray(tree)) {
    faults.push(`${path}:1:1: a configuration is a map of settings`);
    return undefined;
  }
  const position = (dotted: string) => {
    let node: unknown = document.contents;
    let offset = 0;
    for (const key of dotted.split(".")) {
      if (!isMap(node)) break;
      const pair = node.items.find(
        (item: Pair) => isScalar(item.key) && String(item.key.value) === key,
      );
      if (!pair) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    }
    return at(offset);
  };
  return { tree: tree as Tree, position };
}

function explain(
  error: ErrorObject,
  leaves: ReadonlyMap<string, Leaf>,
  tree: Tree,
): { path: string; problem: string } {
  const keys = error.instancePath.split("/").slice(1);
  const value = keys.reduce<unknown>((node, key) => (node as Tree | undefined)?.[key], tree);
  // A fault of one member is shown where the list is set.
  const parent = keys.filter((key) => !/^\d+$/.test(key)).join(".");
  const child = (key: string) => (parent === "" ? key : `${parent}.${key}`);
  switch (error.keyword) {
    case "additionalProperties": {
      const path = child(String(error.params.additionalProperty));
      return { path, problem: `is not a setting${meant(path, [...leaves.keys()])}` };
    }
    case "required":
      return { path: child(String(error.params.missingProperty)), problem: "must be set" };
    case "enum":
      return { path: parent, problem: `must be one of ${error.params.allowedValues.join(", ")}` };
    case "type": {
      const kind = KINDS[String(error.params.type)] ?? `of type ${error.params.type}`;
      return { path: parent, problem: `must be ${kind}` };
    }
    case "minimum":
      return { path: parent, problem: `must be ${error.params.limit} or more` };
    case "maximum":
      return { path: parent, problem: `must be ${error.params.limit} or less` };
    case "minLength":
      return { path: parent, problem: tooShort(Number(error.params.limit)) };
    case "pattern": {
      const what = leaves.get(parent)?.form ?? `must match ${error.params.pattern}`;
      return { path: parent, problem: `${JSON.stringify(value)}: ${what}` };
    }
    default:
      return { path: parent, problem: error.message ?? "is not valid" };
  }
}

const tooShort = (least: number) =>
  least === 1 ? "must not be empty" : `must have ${least} characters or more`;

/** The types of JSON Schema in words. */
const KINDS: Readonly<Record<string, string>> = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "a text",
  array: "a list",
  object: "a map of settings",
};

/** `, did you mean …?` where something is near. */
function meant(wrong: string, known: readonly string[]): string {
  const last = (path: string) => path.split(".").at(-1) ?? path;
  const near = known
    .map((path) => ({
      path,
      distance: Math.min(distance(wrong, path), distance(last(wrong), last(path))),
    }))
    .filter(({ path, distance: d }) => d <= Math.min(3, Math.floor(last(path).length / 2)))
    .sort(
      (a, b) => a.distance - b.distance || distance(wrong, a.path) - distance(wrong, b.path),
    )[0];
  return near ? `, did you mean ${near.path}?` : "";
}

/** Edits from one text to the other (Levenshtein). */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
