/** Bugs to be planted among large payloads; payloads.test.ts finds every one of them (mutations.ts says of what kind they are). */
import type { Mutation } from "./mutations.ts";

export const PAYLOAD_MUTATIONS: readonly Mutation[] = [
  {
    name: "a payload is acknowledged before its bytes are on the disk",
    file: "gateway/payloads/payloads.ts",
    find: "event = await files.write(id, incoming.payload, describe, wanted);",
    put: `event = describe(process.getBuiltinModule("node:crypto").createHash("sha256").update(incoming.payload).digest("hex"));
        void files.write(id, incoming.payload, describe, wanted).catch(() => {});`,
    seeds: 5,
  },
  {
    name: "a payload's file goes before the store has it durably",
    file: "gateway/payloads/uploader.ts",
    find: "await store.put({ key, sha256, contentType, bytes }, signal, pace);",
    put: "void store.put({ key, sha256, contentType, bytes }, signal, pace).catch(() => {});",
    seeds: 5,
  },
  {
    name: "the end of the wait comes to the disk before what it says",
    file: "gateway/payloads/waiting.ts",
    find: "await buffer.append([event], { reserved: true, notes });",
    put: "await buffer.note(notes); await buffer.append([event], { reserved: true });",
    seeds: 20,
  },
  {
    name: "the file goes before the buffer knows that it may",
    file: "gateway/payloads/waiting.ts",
    find: "const notes = [{ key: NOTE + payload.id, value: undefined }];",
    put: "const notes = [{ key: NOTE + payload.id, value: undefined }]; await files.remove(payload.id);",
    seeds: 20,
  },
  {
    name: "the note does not go with the event",
    file: "gateway/payloads/payloads.ts",
    find: "[...notes, this.#waiting.note(id, event)],",
    put: "notes,",
    seeds: 5,
  },
  {
    name: "what a damaged buffer forgot is thrown away",
    file: "gateway/payloads/waiting.ts",
    find: "if (!isDamaged) {",
    put: "if (epoch.length > 0) {",
    seeds: 20,
  },
  {
    name: "one gives way that is being uploaded",
    file: "gateway/payloads/payloads.ts",
    find: "if (!payload.busy) return payload;",
    put: "return payload;",
    seeds: 20,
  },
];
