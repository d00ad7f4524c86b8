/** Acknowledges whatever comes and does nothing else: what the load generator could reach. Prints its port. */
import { createServer } from "node:net";

const CONNACK = Buffer.from([0x20, 2, 0, 0]);

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  let connected = false;
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    if (!connected) {
      connected = true;
      socket.write(CONNACK);
      return;
    }
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const acks: number[] = [];
    let at = 0;
    for (;;) {
      // Two bytes of length: what the benches send has between 128 and 16383.
      if (at + 5 > data.length) break;
      const length = ((data[at + 1] ?? 0) & 0x7f) + ((data[at + 2] ?? 0) << 7);
      if (length === 0 || at + 3 + length > data.length) break;
      const id = at + 5 + data.readUInt16BE(at + 3);
      acks.push(0x40, 2, data[id] ?? 0, data[id + 1] ?? 0);
      at += 3 + length;
    }
    rest = data.subarray(at);
    if (acks.length > 0) socket.write(Buffer.from(acks));
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" ? address?.port : "");
});
