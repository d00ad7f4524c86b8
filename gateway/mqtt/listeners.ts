/**
 * One port, several listening sockets. The event loop lets in one connection of each listening socket in each of its turns
 * (libuv 1.52), and a turn of a busy gateway takes milliseconds: with one socket, a thousand devices that come back after a
 * restart wait so long that they give up and begin anew, which makes it last.
 *
 * The kernel shares new connections among sockets that agree to share a port (SO_REUSEPORT). Another program's are kept
 * out by asking for the port alone first. Where the system has no such sockets there is one.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

/** A turn lets in as many. More would be more work in one turn than a waiting acknowledgement should see. */
const SOCKETS = 8;

const OPTIONS = { noDelay: true, allowHalfOpen: true } as const;

export class Listeners {
  readonly #onConnection: (socket: Socket) => void;
  #servers: Server[] = [];

  constructor(onConnection: (socket: Socket) => void) {
    this.#onConnection = onConnection;
  }

  /** @param port 0 takes any free one. @throws as net.Server.listen() fails, with its `code` */
  async listen(host: string, port: number): Promise<void> {
    if (port !== 0) {
      const alone = createServer();
      await listening(alone, host, port, false);
      alone.close();
      await once(alone, "close");
    }
    const first = createServer(OPTIONS, this.#onConnection);
    try {
      await listening(first, host, port, true);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      const only = createServer(OPTIONS, this.#onConnection);
      await listening(only, host, port, false);
      this.#servers = [only];
      return;
    }
    this.#servers = [first];
    const others = Array.from({ length: SOCKETS - 1 }, () =>
      createServer(OPTIONS, this.#onConnection),
    );
    const { port: taken } = this;
    try {
      for (const other of others) {
        await listening(other, host, taken, true);
        this.#servers.push(other);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The port that it has; 0 before. */
  get port(): number {
    const address = this.#servers[0]?.address();
    return address && typeof address === "object" ? address.port : 0;
  }

  /** Takes no more. Resolves when the last connection has ended, too. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => {
      const end = once(server, "close");
      server.close();
      return end;
    });
    await Promise.all(closed);
  }
}

async function listening(
  server: Server,
  host: string,
  port: number,
  reusePort: boolean,
): Promise<void> {
  server.listen({ host, port, reusePort });
  await once(server, "listening");
}

function isUnsupported(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOPROTOOPT" || code === "EINVAL";
}
