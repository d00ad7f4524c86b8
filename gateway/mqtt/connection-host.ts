/** What the connections of one broker share, and ask of it. */
import type { Client } from "aedes";
import type { Budget } from "./budget.ts";
import type { Ingest } from "./ingest.ts";
import type { LargePackets } from "./large-packets.ts";
import type { Publish } from "./publish.ts";
import type { PublishRights } from "./publish-rights.ts";
import type { Unfinished } from "./unfinished.ts";

/** Who published, as aedes knows it. */
export interface Publisher {
  readonly client: Client | undefined;
}

export interface ConnectionHost {
  readonly ingest: Ingest;
  readonly rights: PublishRights;
  readonly budget: Budget;
  readonly unfinished: Unfinished;
  readonly large: LargePackets;
  /** Larger packets have to be readings or payloads on an ingest route, and their memory is counted apart. */
  readonly ordinaryPacketBytes: number;
  /** Larger packets close the connection; the second holds for CONNECT. */
  readonly maxPacketBytes: number;
  readonly maxConnectBytes: number;
  /** Whether it is to go through deliver(). */
  wanted(publish: Publish): boolean;
  /** To subscribers and retained messages. Calls back when they have it. */
  deliver(connection: Publisher, publish: Publish, done: () => void): void;
  onPacketTooLarge(): void;
  onUnfinishedTooMuch(): void;
}
