import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventLogConformance } from "../conformance.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";

eventLogConformance({
  name: "embedded",
  capabilities: { away: false, dropsResentBatches: true },
  async create() {
    const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
    return {
      namespace: "conformance",
      open: (options) => new EmbeddedEventLog({ directory, ...options }),
      dispose: () => rm(directory, { recursive: true }),
    };
  },
});
