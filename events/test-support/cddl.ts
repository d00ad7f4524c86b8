/**
 * Holds a CBOR item against a rule of a CDDL file: the part of RFC 8610 that the contract uses, on the syntax tree of the
 * `cddl` package. What it does not know it refuses to judge, so that a rule cannot pass by not being understood.
 */
import { parse } from "cddl";
import type { Item } from "./cbor-items.ts";

interface Node {
  readonly Type?: string | Node;
  readonly Name?: string;
  readonly Value?: unknown;
  readonly PropertyType?: unknown;
  readonly Properties?: readonly Member[];
  readonly Values?: readonly Member[];
  readonly Operator?: { readonly Type: string; readonly Value: Node };
  readonly Min?: Node;
  readonly Max?: Node;
}

interface Member {
  readonly HasCut: boolean;
  readonly Occurrence: { readonly n: number; readonly m: number };
  readonly Name: string;
  readonly Type: unknown;
}

export class Cddl {
  readonly #rules: ReadonlyMap<string, Node>;

  /** @throws where the file is not CDDL */
  constructor(file: string) {
    const nodes = parse(file) as unknown as readonly Node[];
    this.#rules = new Map(nodes.map((node) => [node.Name ?? "", node]));
  }

  get ruleNames(): readonly string[] {
    return [...this.#rules.keys()];
  }

  /** @returns what does not fit, or undefined */
  fault(rule: string, item: Item): string | undefined {
    return this.#named(rule, item, rule);
  }

  #named(name: string, item: Item, path: string): string | undefined {
    const rule = this.#rules.get(name);
    if (!rule) return prelude(name, item, path);
    if (rule.Type === "variable") return this.#choice(rule.PropertyType, item, path);
    return this.#type(rule, item, path);
  }

  #choice(types: unknown, item: Item, path: string): string | undefined {
    const faults = (Array.isArray(types) ? types : [types]).map((type) =>
      this.#type(type, item, path),
    );
    return faults.includes(undefined) ? undefined : faults.join(" or ");
  }

  #type(type: unknown, item: Item, path: string): string | undefined {
    if (typeof type === "string") return prelude(type, item, path);
    const node = type as Node;
    if (node.Operator) {
      const { Operator: operator, ...bare } = node;
      return this.#type(bare, item, path) ?? controlled(operator, item, path);
    }
    switch (node.Type) {
      case "literal":
        return "value" in item && item.value === node.Value
          ? undefined
          : `${path} is not ${JSON.stringify(node.Value)}`;
      case "group":
        return typeof node.Value === "string"
          ? this.#named(node.Value, item, path)
          : this.#map(node.Properties ?? unknown(node), item, path);
      case "array":
        return this.#array(node.Values ?? unknown(node), item, path);
      default:
        // A native type with its operator taken off.
        if (typeof node.Type === "string") return prelude(node.Type, item, path);
        return unknown(node);
    }
  }

  #map(members: readonly Member[], item: Item, path: string): string | undefined {
    if (item.kind !== "map") return `${path} is not a map`;
    const fixed = members.filter((member) => member.HasCut);
    const [open, ...more] = members.filter((member) => !member.HasCut);
    if (more.length > 0) unknown(more[0]);
    const names = new Map<string, Item>();
    for (const [key, value] of item.entries) {
      if (key.kind !== "text") return `${path} has a key that is not text`;
      if (names.has(key.value)) return `${path} has ${key.value} twice`;
      names.set(key.value, value);
    }
    for (const { Name: name, Occurrence, Type: type } of fixed) {
      const value = names.get(name);
      names.delete(name);
      if (!value) {
        if (Occurrence.n > 0) return `${path}.${name} is not there`;
        continue;
      }
      const fault = this.#choice(type, value, `${path}.${name}`);
      if (fault) return fault;
    }
    if (!open) {
      const [extra] = names.keys();
      return extra === undefined ? undefined : `${path}.${extra} is not described`;
    }
    if (names.size < open.Occurrence.n) return `${path} has too few members`;
    for (const [name, value] of names) {
      const fault =
        this.#named(open.Name, { kind: "text", value: name }, `name of ${path}.${name}`) ??
        this.#choice(open.Type, value, `${path}.${name}`);
      if (fault) return fault;
    }
    return undefined;
  }

  #array(members: readonly Member[], item: Item, path: string): string | undefined {
    if (item.kind !== "array") return `${path} is not an array`;
    const [first] = members;
    const repeated = members.length === 1 && first?.Occurrence.m === Number.POSITIVE_INFINITY;
    if (!repeated && item.items.length !== members.length) {
      return `${path} has ${item.items.length} items, not ${members.length}`;
    }
    for (const [i, one] of item.items.entries()) {
      const fault = this.#choice((members[repeated ? 0 : i] as Member).Type, one, `${path}[${i}]`);
      if (fault) return fault;
    }
    return undefined;
  }
}

function unknown(node: unknown): never {
  throw new Error(`the validator does not know ${JSON.stringify(node)}`);
}

const PRELUDE: Readonly<Record<string, (item: Item) => boolean>> = {
  int: (item) => item.kind === "int",
  float: (item) => item.kind === "float",
  any: () => true,
  uint: (item) => item.kind === "int" && item.value >= 0,
  float64: (item) => item.kind === "float",
  tstr: (item) => item.kind === "text",
  bstr: (item) => item.kind === "bytes",
  bool: (item) => item.kind === "bool",
};

function prelude(name: string, item: Item, path: string): string | undefined {
  const fits = PRELUDE[name];
  if (!fits) return unknown(name);
  return fits(item) ? undefined : `${path} is not ${name}`;
}

function controlled(
  operator: { readonly Type: string; readonly Value: Node },
  item: Item,
  path: string,
): string | undefined {
  const number = (node: Node | undefined) => node?.Value as number;
  if (operator.Type === "ge" && item.kind === "int") {
    return item.value >= number(operator.Value) ? undefined : `${path} is too small`;
  }
  if (operator.Type === "size" && item.kind === "text") {
    const { Min, Max } = operator.Value.Value as Node;
    const size = Buffer.byteLength(item.value);
    return size >= number(Min) && size <= number(Max) ? undefined : `${path} has ${size} bytes`;
  }
  return unknown(operator);
}
