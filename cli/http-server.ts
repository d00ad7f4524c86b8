/** One Fastify instance with the routes that a program serves, as a part that starts and stops. */
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { listenError } from "../gateway/mqtt/broker.ts";

export interface HttpSettings {
  readonly host: string;
  readonly port: number;
}

/** What nobody serves, as problem details (RFC 9457) like the API's own; Fastify's default has no code. */
function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply
    .code(404)
    .header("cache-control", "no-store")
    .type("application/problem+json")
    .send({
      type: "about:blank",
      title: "Not found",
      status: 404,
      code: "not_found",
      detail: `There is nothing at ${request.method} ${request.url}.`,
      instance: request.url,
    });
}

export class HttpServer {
  readonly #settings: HttpSettings;
  readonly #register: (app: FastifyInstance) => Promise<void>;
  #app: FastifyInstance | undefined;

  /** @param register adds the program's routes; called at start, when what they need is running */
  constructor(settings: HttpSettings, register: (app: FastifyInstance) => Promise<void>) {
    this.#settings = settings;
    this.#register = register;
  }

  /** @throws ListenError with what to do where the port cannot be had */
  async start(): Promise<void> {
    if (this.#app) return;
    // Open event streams must not hold up a stop.
    const app = fastify({ forceCloseConnections: true }) as FastifyInstance;
    app.setNotFoundHandler(answerNotFound);
    try {
      await this.#register(app);
      await app.listen({ host: this.#settings.host, port: this.#settings.port });
    } catch (error) {
      await app.close();
      const failure = error as NodeJS.ErrnoException;
      throw failure.syscall ? listenError(failure, "HTTP", "--http-port", this.#settings) : error;
    }
    this.#app = app;
  }

  async stop(): Promise<void> {
    const app = this.#app;
    this.#app = undefined;
    await app?.close();
  }

  /** Where a browser on this machine finds it: `http://127.0.0.1:8080`. */
  get url(): string {
    const bound = this.#app?.server.address() as AddressInfo;
    const everywhere = bound.address === "0.0.0.0" || bound.address === "::";
    const host = everywhere
      ? "127.0.0.1"
      : bound.family === "IPv6"
        ? `[${bound.address}]`
        : bound.address;
    return `http://${host}:${bound.port}`;
  }
}
