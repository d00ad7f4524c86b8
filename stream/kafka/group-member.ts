/**
 * Membership in a consumer group: joins, keeps saying that it lives, and tells which partitions are its own. Reading
 * and committing are others' work; a member that Kafka gave up for dead is stopped by its transactional ids being
 * fenced, never by anything here.
 */
import kafkajs from "kafkajs";
import { EventLogError } from "../port.ts";
import { assignPartitions } from "./assign.core.ts";
import { faultOf } from "./faults.ts";
import type { KafkaSettings } from "./options.ts";
import { type Outage, pause } from "./retry.ts";
import { KafkaSession } from "./session.ts";

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;

const PROTOCOL = "tidegate-alike";
const PROTOCOL_VERSION = 1;
/** Heartbeats in one session timeout: four may be lost. */
const HEARTBEATS = 5;
const LONGEST_HEARTBEAT_MS = 3000;
/** How long a member that stops waits for the group to take note, ms; else the session timeout tells it. */
const LEAVE_DEADLINE_MS = 2000;

export interface GroupCallbacks {
  /** Finish what is being committed and begin nothing until `assigned`. */
  revoked(): Promise<void>;
  assigned(partitions: readonly number[]): void;
}

export class GroupMember {
  readonly #settings: KafkaSettings;
  readonly #session: KafkaSession;
  readonly #groupId: string;
  readonly #inputs: readonly string[];
  readonly #callbacks: GroupCallbacks;
  readonly #outage: Outage;
  #memberId = "";
  #generation = -1;
  #owned: readonly number[] = [];

  constructor(
    settings: KafkaSettings,
    groupId: string,
    inputs: readonly string[],
    callbacks: GroupCallbacks,
    outage: Outage,
  ) {
    this.#settings = settings;
    this.#session = new KafkaSession(settings);
    this.#groupId = groupId;
    this.#inputs = inputs;
    this.#callbacks = callbacks;
    this.#outage = outage;
  }

  /** Until aborted; leaves the group then. @throws EventLogError `invalid` where the inputs are not partitioned alike */
  async run(signal: AbortSignal): Promise<void> {
    const { sessionTimeoutMs } = this.#settings.limits;
    const interval = Math.min(LONGEST_HEARTBEAT_MS, sessionTimeoutMs / HEARTBEATS);
    const cut = () => this.#session.close();
    let joined = false;
    while (!signal.aborted) {
      try {
        if (joined) {
          await this.#heartbeat();
        } else {
          // A join waits for all members: it is cut when we stop.
          signal.addEventListener("abort", cut, { once: true });
          this.#owned = await this.#join();
          signal.removeEventListener("abort", cut);
          joined = true;
          this.#callbacks.assigned(this.#owned);
        }
        this.#outage.over();
        await pause(interval, signal);
      } catch (error) {
        signal.removeEventListener("abort", cut);
        if (signal.aborted) break;
        if (error instanceof EventLogError && error.code === "invalid") throw error;
        const { reaction, message } = faultOf(error);
        if (reaction === "rejoin") {
          if (!message.startsWith("REBALANCE_IN_PROGRESS")) this.#memberId = "";
          if (joined) await this.#callbacks.revoked();
          joined = false;
        } else {
          await this.#outage.pause(error, signal);
        }
      }
    }
    await this.#leave();
    this.#session.close();
  }

  /** Whether the group still knows us, in a generation that has not ended. @throws where Kafka does not answer */
  async isMember(): Promise<boolean> {
    try {
      await this.#heartbeat();
      return true;
    } catch (error) {
      if (faultOf(error).reaction === "rejoin") return false;
      throw error;
    }
  }

  async #heartbeat(): Promise<void> {
    await this.#session.use(this.#inputs, async (connection) => {
      const coordinator = await connection.coordinator("group", this.#groupId);
      await coordinator.heartbeat({
        groupId: this.#groupId,
        groupGenerationId: this.#generation,
        memberId: this.#memberId,
      });
    });
  }

  async #join(): Promise<number[]> {
    const groupId = this.#groupId;
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#settings.limits;
    return await this.#session.use(this.#inputs, async (connection) => {
      const counts = this.#inputs.map((topic) => connection.partitionCount(topic));
      const [partitions = 0] = counts;
      if (counts.some((count) => count !== partitions)) {
        const said = this.#inputs.map((topic, i) => `${topic} has ${counts[i]}`).join(", ");
        throw new EventLogError("invalid", `Kafka: inputs must have as many partitions: ${said}`);
      }
      const coordinator = await connection.coordinator("group", groupId);
      const userData = Buffer.from(JSON.stringify(this.#owned));
      const topics = [...this.#inputs];
      const metadata = MemberMetadata.encode({ version: PROTOCOL_VERSION, topics, userData });
      const joined = await coordinator.joinGroup({
        groupId,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: PROTOCOL, metadata }],
      });
      this.#memberId = joined.memberId;
      this.#generation = joined.generationId;
      const groupAssignment =
        joined.leaderId === joined.memberId ? this.#assign(joined.members, partitions) : [];
      const { memberAssignment } = await coordinator.syncGroup({
        groupId,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupAssignment,
      });
      const [input = ""] = this.#inputs;
      return MemberAssignment.decode(memberAssignment)?.assignment[input] ?? [];
    });
  }

  #assign(
    members: readonly { memberId: string; memberMetadata: Buffer }[],
    partitions: number,
  ): { memberId: string; memberAssignment: Buffer }[] {
    const views = members.map(({ memberId, memberMetadata }) => ({
      id: memberId,
      owned: ownedIn(memberMetadata),
    }));
    return [...assignPartitions(views, partitions)].map(([memberId, share]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: PROTOCOL_VERSION,
        assignment: Object.fromEntries(this.#inputs.map((topic) => [topic, share])),
        userData: Buffer.alloc(0),
      }),
    }));
  }

  async #leave(): Promise<void> {
    if (!this.#memberId) return;
    const left = this.#session.use(this.#inputs, async (connection) => {
      const coordinator = await connection.coordinator("group", this.#groupId);
      await coordinator.leaveGroup({ groupId: this.#groupId, memberId: this.#memberId });
    });
    await Promise.race([left.catch(() => {}), pause(LEAVE_DEADLINE_MS)]);
  }
}

/** What another member says it has; whatever it sends, it is no reason to fail. */
function ownedIn(memberMetadata: Buffer): number[] {
  try {
    const said: unknown = JSON.parse(
      MemberMetadata.decode(memberMetadata)?.userData.toString() ?? "",
    );
    return Array.isArray(said) ? said.filter((one) => Number.isInteger(one)) : [];
  } catch {
    return [];
  }
}
