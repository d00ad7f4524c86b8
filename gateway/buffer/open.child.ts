/** The process that is killed at every step of opening a damaged buffer: crash-points.test.ts. */
import { bufferIn } from "./used-buffer.ts";

const buffer = bufferIn(process.argv[2] ?? "");
await buffer.start();
await buffer.stop();
