/** aedes as it comes, with no durability: the yardstick of bench/acks.ts. Prints its port. */
import { createServer } from "node:net";
import { Aedes } from "aedes";

const aedes = await Aedes.createBroker();
const server = createServer((socket) => void aedes.handle(socket));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" ? address?.port : "");
});
