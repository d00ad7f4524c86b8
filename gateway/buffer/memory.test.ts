import { bufferConformance, EPOCH, FIRST_EVENT } from "./conformance.ts";
import { MemoryBuffer, memoryDisk } from "./memory.ts";

bufferConformance({
  name: "memory",
  make(capacityBytes) {
    const disk = memoryDisk();
    return {
      open: () =>
        new MemoryBuffer({ firstEpoch: EPOCH, firstEvent: FIRST_EVENT, capacityBytes }, disk),
      remove: async () => {},
    };
  },
});
