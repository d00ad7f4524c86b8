import { bufferConformance, EPOCH } from "./conformance.ts";
import { MemoryBuffer, memoryDisk } from "./memory.ts";

bufferConformance({
  name: "memory",
  make(options) {
    const disk = memoryDisk();
    return {
      open: () => new MemoryBuffer({ firstEpoch: EPOCH, ...options }, disk),
      remove: async () => {},
    };
  },
});
