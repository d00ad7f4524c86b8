/**
 * YAML that people write by hand: what is wrong with it is collected, each fault with its line and column, and told at
 * once. For every kind of file that the product takes.
 */
import type { Document } from "yaml";
import {
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";

export type Path = readonly (string | number)[];
/** @param onKey points at the key, where the key is what is wrong */
export type Report = (path: Path, message: string, onKey?: boolean) => void;

export class YamlFile {
  /** Undefined where it cannot be read at all, and null where there is nothing in it. */
  readonly content: unknown;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #faults: { readonly offset: number; readonly text: string }[] = [];

  /** @param file only for messages */
  constructor(text: string, file: string) {
    this.#file = file;
    const document = parseDocument(text, { lineCounter: this.#lines, uniqueKeys: true });
    this.#document = document;
    for (const error of document.errors) {
      const message = error.message.split("\n")[0]?.replace(/ at line.*/, "") ?? "";
      this.#add(error.pos[0], message);
    }
    visit(document, {
      Pair: (_, { key }) => {
        if (!isCollection(key)) return;
        const message = "a key is a text; put quotes around one that begins with { or [";
        this.#add(key.range?.[0] ?? 0, message);
      },
    });
    if (this.#faults.length > 0) return;
    try {
      this.content = document.toJS({ maxAliasCount: 100 }) ?? null;
    } catch (error) {
      this.#add(0, (error as Error).message);
    }
  }

  readonly report: Report = (path, message, onKey) => {
    this.#add(offsetOf(this.#document.contents, path, onKey === true), message);
  };

  /** Each `file:line:column: what is wrong and what to do`, in the order of the file. */
  get faults(): readonly string[] {
    const sorted = this.#faults.toSorted((a, b) => a.offset - b.offset);
    return [...new Set(sorted.map(({ text }) => text))];
  }

  #add(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.#faults.push({ offset, text: `${this.#file}:${line}:${col}: ${message}` });
  }
}

/** Of a JSON pointer. */
export function pathOf(pointer: string): Path {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}

/** Where the value (or its key) stands; where it is missing, the nearest thing around it. */
function offsetOf(root: unknown, path: Path, onKey: boolean): number {
  let node: unknown = root;
  let offset = 0;
  const start = (one: unknown) => (isNode(one) ? ((one as Node).range?.[0] ?? offset) : offset);
  offset = start(root);
  for (const [depth, step] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(step),
      );
      if (!pair) return offset;
      const last = depth === path.length - 1;
      offset =
        last && onKey ? start(pair.key) : pair.value === null ? start(pair.key) : start(pair.value);
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      offset = start(node);
    } else return offset;
  }
  return offset;
}
