/** Loaded before a program: puts one of the planted bugs (MUTATION) into the source that Node reads. */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MUTATIONS } from "./mutations.ts";
import { PAYLOAD_MUTATIONS } from "./payload-mutations.ts";

const root = join(import.meta.dirname, "..", "..");
const all = [...MUTATIONS, ...PAYLOAD_MUTATIONS];
const mutation = all.find(({ name }) => name === process.env.MUTATION);
if (!mutation) throw new Error(`no mutation is called ${process.env.MUTATION}`);
const { file, find, put } = mutation;
const target = pathToFileURL(join(root, file)).href;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== target) return loaded;
    const parts = String(loaded.source).split(find);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} × ${find}`);
    return { ...loaded, source: parts.join(put) };
  },
});
