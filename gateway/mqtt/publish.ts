/** One PUBLISH between its arrival and its acknowledgement. */
import type { BufferError } from "../buffer/port.ts";
import type { Handshake } from "./handshakes.ts";
import type { Offered } from "./intake.ts";
import type { PublishRight } from "./publish-rights.ts";
import type { OpenPublish } from "./redelivery.core.ts";
import type { Session } from "./sessions.ts";

/** Who owns a publish: it is told of its end, on disk or not. */
export interface PublishOwner {
  /** A large payload's event is in the buffer's queue. */
  queued?(publish: Publish): void;
  stored(publish: Publish): void;
  refused(publish: Publish, error: BufferError): void;
}

export class Publish implements Offered {
  readonly owner: PublishOwner;
  readonly right: PublishRight;
  readonly qos: number;
  /** 0 at QoS 0. */
  readonly messageId: number;
  readonly retain: boolean;
  /** Bytes of its packet, for the budget. */
  readonly size: number;
  /** Bytes that it has among the large packets, and not in the budget. */
  readonly large: number;
  isLarge = false;
  /** Set where nobody waits for it any more and its device will send it again. */
  gone = false;
  metrics = 0;
  rejection: string | undefined = undefined;
  /** The next one of its connection. */
  next: Publish | undefined = undefined;
  /** Nothing but those before it keeps it from being acknowledged. */
  ready = false;
  /** The payload's place, for subscribers. */
  bytes: Buffer | undefined = undefined;
  payloadStart = 0;
  payloadEnd = 0;
  /** Where aedes has it: what makes aedes acknowledge it and go on. */
  done: ((error?: Error | null) => void) | undefined = undefined;
  /** What is remembered of it, and where. */
  session: Session | undefined = undefined;
  sessionVersion = 0;
  open: OpenPublish<Offered> | undefined = undefined;
  handshake: Handshake | undefined = undefined;
  /** The buffer has it, or had: it is an event. */
  offered = false;
  /** It is the same as another one, which goes to the subscribers in its stead. */
  repeated = false;

  constructor(
    owner: PublishOwner,
    right: PublishRight,
    qos: number,
    messageId: number,
    retain: boolean,
    size: number,
    large = 0,
  ) {
    this.owner = owner;
    this.right = right;
    this.qos = qos;
    this.messageId = messageId;
    this.retain = retain;
    this.size = size;
    this.large = large;
  }

  queued(): void {
    this.owner.queued?.(this);
  }

  stored(): void {
    this.owner.stored(this);
  }

  refused(error: BufferError): void {
    this.owner.refused(this, error);
  }

  /** A copy: a view would keep a whole chunk of the socket alive for as long as a subscriber is away. */
  payload(): Buffer {
    return this.bytes
      ? Buffer.from(this.bytes.subarray(this.payloadStart, this.payloadEnd))
      : Buffer.alloc(0);
  }
}
