/**
 * One device's connection, between its socket and aedes.
 *
 * aedes is handed this Duplex in place of the socket. Of what the device sends, PUBLISH on ingest routes goes straight to
 * the buffer; QoS 2 on other topics and PINGREQ are answered here too; everything else reaches aedes as it came. What
 * aedes writes goes to the socket as it is, but for the CONNACK's session-present bit.
 *
 * Promises:
 *  - PUBACKs and PUBRECs go out in the order of their PUBLISHes, whichever way those went [MQTT-4.6.0-2, -3];
 *  - readings of one connection stand in the journal, and go to subscribers, in the order in which they came;
 *  - the device is not read from while too much of it is in flight, or aedes does not read, or a reading of it finds no
 *    room in the budget of all; then its keepalive does not run either, because it is us who do not listen;
 *  - who sends no readings is not held up by readings that are held;
 *  - what comes behind a large payload is taken once its event is in the buffer's queue; PINGREQ is answered meanwhile;
 *  - packets over the limit and malformed ones close it, before anything of them is gathered; what is gathered of others
 *    counts in a limit over all connections.
 */
import assert from "node:assert";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Client, PublishPacket } from "aedes";
import type { BufferError } from "../buffer/port.ts";
import { MAX_IN_FLIGHT_OF_CONNECTION } from "./budget.ts";
import { ConnackMender } from "./connack.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { FrameReader, PACKET, PublishParts } from "./frames.core.ts";
import type { LargeGatherer } from "./large-packets.ts";
import { Publish, type PublishOwner } from "./publish.ts";
import { RightsCache } from "./publish-rights.ts";
import type { Session } from "./sessions.ts";
import type { Gatherer } from "./unfinished.ts";

/** An acknowledgement is four bytes; as many as may be in flight. */
const acknowledgements = Buffer.allocUnsafeSlow(4 * MAX_IN_FLIGHT_OF_CONNECTION.messages);

/**
 * What a connection that is not read from may keep of what came already, besides its share of the unfinished: the last
 * read of the socket behind the piece of a packet from the one before.
 */
const MAX_HELD_READ_BYTES = 128 * 1024;

const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBCOMP = 0x70;

const PINGRESP = Buffer.of(0xd0, 0);

/** `taken`: it is done with here. `aedes`: aedes is to have it. `stop`: it has to wait. `breach`: it is no packet. */
type Way = "taken" | "aedes" | "stop" | "breach";

/** A breach of the protocol, or of our limits: MQTT 3.1.1 has no other answer than to close. */
export class ProtocolError extends Error {}

export class Connection extends Duplex implements PublishOwner, Gatherer, LargeGatherer {
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #parts = new PublishParts();
  /**
   * `greeting`: nothing but CONNECT may come. `connecting`: aedes has it; all else waits until the CONNACK is out.
   * `closed`: nothing is read or written any more.
   */
  #state: "greeting" | "connecting" | "open" | "closed" = "greeting";
  #rights: RightsCache | undefined;
  /** aedes' own object for the connection; it puts it here. */
  client: Client | undefined;
  /** MQTT client id and session, once it is open. */
  id = "";
  session: Session | undefined;
  /** Another connection has taken its client id, and with it the session. */
  superseded = false;
  /** DISCONNECT came: the device is content, and sends nothing again that it has no acknowledgement for. */
  #orderly = false;
  /** The publishes that wait for their turn to be acknowledged, oldest first. */
  #oldest: Publish | undefined;
  #newest: Publish | undefined;
  #acknowledging = false;
  #inFlight = 0;
  #inFlightBytes = 0;
  /** Publishes on their way through aedes up to its question about them, in order. */
  readonly #handed: Publish[] = [];
  /** aedes has as many bytes as it wants for now. */
  #aedesFull = false;
  #pumping = false;
  #stopped = false;
  /** Memory that the packet that is gathered has among the large ones. */
  #large = 0;
  /** A large payload on its way to the disk, whose event is not offered to the buffer yet. */
  #keeping: Publish | undefined;
  /** What it is counted with among the unfinished. */
  #unfinished = 0;
  /** The device has closed its side; and aedes knows. */
  #ended = false;
  #endPassed = false;
  #keepalive: NodeJS.Timeout | undefined;
  readonly #connack = new ConnackMender();
  #onDrain: (() => void) | undefined;
  readonly #pumpAgain = (): void => this.#pump();
  readonly #acknowledgeLater = (): void => this.#acknowledge();

  constructor(socket: Socket, host: ConnectionHost) {
    super();
    this.#host = host;
    this.#socket = socket;
    this.#frames = new FrameReader(host.maxConnectBytes);
    socket.on("data", (chunk: Buffer) => {
      this.#frames.add(chunk);
      this.#pump();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#pump();
    });
    socket.on("drain", () => {
      const done = this.#onDrain;
      this.#onDrain = undefined;
      done?.();
    });
    socket.on("close", () => this.destroy());
    socket.on("error", (error) => this.destroy(error));
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** aedes has looked at the CONNECT and is about to answer it. */
  introduce(id: string, session: Session | undefined, present: boolean): void {
    this.id = id;
    this.session = session;
    this.#connack.sessionPresent = present;
  }

  /** The keepalive is ours, because aedes does not see most packets. 0 is none. */
  keepAlive(seconds: number): void {
    if (seconds === 0) return;
    // [MQTT-3.1.2-24] One and a half times.
    this.#keepalive = setTimeout(() => this.#keepaliveOver(), seconds * 1500);
  }

  /** The CONNACK is out, and the session's waiting messages: all that waited behind CONNECT goes on. */
  open(): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    this.#frames.limit = this.#host.maxPacketBytes;
    this.#rights = new RightsCache(this.#host.rights, this.id);
    this.#pump();
  }

  /** Another connection has its client id: what it still has to say is not heard any more. */
  supersede(): void {
    this.superseded = true;
    this.#close();
  }

  /**
   * aedes asks whether a PUBLISH that it was handed may go on.
   * @param done is called once it may be acknowledged, in its turn
   */
  arrived(packet: PublishPacket, done: (error?: Error | null) => void): void {
    const publish = this.#handed.shift();
    assert(
      publish && publish.messageId === (packet.messageId ?? 0),
      "aedes asks for publishes in the order in which it was handed them",
    );
    publish.done = done;
    if (publish.right.kind === "denied") {
      done(new ProtocolError(publish.right.reason));
      return;
    }
    this.#host.ingest.intake.stats.unmatched += 1;
    if (publish.qos === 0) done(null);
    else this.#settle(publish);
  }

  queued(publish: Publish): void {
    if (this.#keeping !== publish) return;
    this.#keeping = undefined;
    this.#pump();
  }

  roomAgain(): void {
    this.#pump();
  }

  get gathered(): number {
    return this.#frames.waiting;
  }

  tooSlow(): void {
    // It may be us who do not read.
    if (!this.#stopped) this.unfinishedTooMuch();
  }

  stored(publish: Publish): void {
    this.#host.ingest.stored(publish);
    if (this.#state !== "closed") this.#settle(publish);
    else {
      // Nobody is there to be told, but it counts.
      this.#deliverAfterClose(publish);
      this.#giveAfterClose(publish);
    }
  }

  /** Subscribers get it all the same: its device may never send it again, or what it sends is taken for a repetition. */
  #deliverAfterClose(publish: Publish): void {
    if (this.#isForSubscribers(publish)) this.#host.deliver(this, publish, () => {});
  }

  refused(publish: Publish, error: BufferError): void {
    this.#host.ingest.refused(publish, this.id, error);
    if (this.#state === "closed") {
      this.#giveAfterClose(publish);
      return;
    }
    // A QoS 0 message waits for no acknowledgement: it is counted, and its connection may live.
    if (publish.qos === 0) {
      publish.repeated = true;
      this.#settle(publish);
      this.queued(publish);
    } else this.destroy(error);
  }

  /** What the buffer has of a connection that is gone takes memory until it is on disk. */
  #giveAfterClose(publish: Publish): void {
    if (!publish.offered || publish.gone) return;
    this.#host.budget.give(1, publish.size);
    this.#host.large.give(publish.large);
  }

  #settle(publish: Publish): void {
    publish.ready = true;
    if (publish !== this.#oldest || this.#acknowledging) return;
    this.#acknowledging = true;
    // Everything that the same commit has brought is acknowledged with one write.
    process.nextTick(this.#acknowledgeLater);
  }

  /**
   * The moment of acknowledgement, for every QoS and every way. A publish on an ingest route is ready only once the buffer
   * has called stored(): by then its event, with what its redelivery will be judged by, is in the buffer's log and
   * fsynced. PUBACKs and PUBRECs are written here; PUBACKs for what aedes has by aedes, as it is told here to go on.
   */
  #acknowledge(): void {
    this.#acknowledging = false;
    if (this.#state === "closed") return;
    let bytes = 0;
    let settled = 0;
    let settledBytes = 0;
    let settledLarge = 0;
    for (let publish = this.#oldest; publish?.ready; publish = this.#oldest) {
      this.#oldest = publish.next;
      // One that the collector has moved to its old space would keep all that came behind it.
      publish.next = undefined;
      if (publish.done) {
        this.#writeAcknowledgements(bytes);
        bytes = 0;
        publish.done(null);
      } else if (publish.qos > 0) {
        acknowledgements[bytes++] = publish.qos === 1 ? PUBACK : PUBREC;
        acknowledgements[bytes++] = 2;
        acknowledgements[bytes++] = publish.messageId >> 8;
        acknowledgements[bytes++] = publish.messageId & 0xff;
      }
      if (publish.done === undefined && this.#isForSubscribers(publish)) {
        // It counts as in flight until the subscribers have it: one that does not read must not fill our memory.
        this.#host.deliver(this, publish, () => this.#give(1, publish.size, publish.large));
      } else {
        settled += 1;
        settledBytes += publish.size;
        settledLarge += publish.large;
      }
    }
    if (this.#oldest === undefined) this.#newest = undefined;
    this.#writeAcknowledgements(bytes);
    this.#give(settled, settledBytes, settledLarge);
  }

  #writeAcknowledgements(bytes: number): void {
    if (bytes === 0) return;
    const copy = Buffer.from(acknowledgements.subarray(0, bytes));
    // What aedes wrote before stands in this stream's queue until the end of the turn, and goes first.
    if (this.writableLength > 0 || this.writableCorked > 0) this.write(copy);
    else this.#socket.write(copy);
  }

  #isForSubscribers(publish: Publish): boolean {
    return !publish.repeated && this.#host.wanted(publish);
  }

  #give(messages: number, bytes: number, large: number): void {
    this.#host.large.give(large);
    if (this.#state === "closed") return;
    this.#inFlight -= messages;
    this.#inFlightBytes -= bytes;
    this.#host.budget.give(messages, bytes);
    if (!this.#stopped) return;
    const { messages: most, bytes: mostBytes } = MAX_IN_FLIGHT_OF_CONNECTION;
    if (this.#inFlight <= most / 2 && this.#inFlightBytes <= mostBytes / 2) this.#pump();
  }

  /** Takes frame after frame, as long as there are whole ones and nothing holds us. */
  #pump(): void {
    if (this.#pumping || this.#state === "closed") return;
    this.#pumping = true;
    const frames = this.#frames;
    /** Where a run of frames for aedes begins; -1 outside of one. */
    let run = -1;
    let heard = false;
    let stop = false;
    while (!this.#isClosed()) {
      stop = this.#isHeld();
      if (stop) break;
      const found = frames.next();
      if (found === "large" || found === "malformed") {
        this.#breach(found);
        break;
      }
      const type = frames.head >> 4;
      if (frames.end - frames.start > this.#host.ordinaryPacketBytes && this.#large === 0) {
        const large = this.#wayOfLarge(type);
        stop = large === "stop";
        if (large === "breach") this.#breach("large");
        if (large !== "taken") break;
      }
      if (found === "none") break;
      if (this.#keeping && type !== PACKET.pingreq) {
        stop = true;
        break;
      }
      const way = this.#state === "open" ? this.#wayOf(type) : "aedes";
      if (way === "stop") {
        stop = true;
        break;
      }
      if (way === "breach") {
        this.#breach("malformed");
        break;
      }
      if (way === "taken") {
        if (run >= 0) this.#hand(frames.bytes.subarray(run, frames.start));
        run = -1;
      } else if (run < 0) run = frames.start;
      heard = true;
      const { end } = frames;
      frames.consume();
      if (type === PACKET.connect && this.#state === "greeting") this.#state = "connecting";
      if (type === PACKET.disconnect) this.#orderly = true;
      // aedes sees what came before now, so that its back-pressure is known before the next frame.
      if (way !== "taken" && (this.#aedesIsBehind(end - run) || this.#state === "connecting")) {
        this.#hand(frames.bytes.subarray(run, end));
        run = -1;
      }
    }
    this.#pumping = false;
    if (this.#isClosed()) return;
    if (run >= 0) this.#hand(frames.bytes.subarray(run, frames.start));
    if (heard) this.#keepalive?.refresh();
    this.#stopOrGo(stop);
    this.#countUnfinished();
  }

  #countUnfinished(): void {
    const frames = this.#frames;
    let held = 0;
    // What has room among the large packets is counted there.
    if (this.#large > 0) held = 0;
    else if (!this.#stopped) {
      frames.settle();
      held = frames.held;
    } else if (frames.held > MAX_HELD_READ_BYTES) held = frames.held;
    if (held === this.#unfinished || this.#isClosed()) return;
    this.#unfinished = held;
    this.#host.unfinished.hold(this, held);
  }

  unfinishedTooMuch(): void {
    this.#host.onUnfinishedTooMuch();
    this.destroy(new ProtocolError("too much memory is taken by unfinished packets"));
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #isHeld(): boolean {
    if (this.#state === "connecting" || this.#aedesFull) return true;
    const { messages, bytes } = MAX_IN_FLIGHT_OF_CONNECTION;
    return this.#inFlight >= messages || this.#inFlightBytes >= bytes;
  }

  #aedesIsBehind(bytes: number): boolean {
    return this.readableLength + bytes >= this.readableHighWaterMark;
  }

  #wayOf(type: number): Way {
    if (type === PACKET.publish) return this.#publish();
    if (type === PACKET.pubrel) return this.#pubrel();
    if (type !== PACKET.pingreq || this.#frames.body !== this.#frames.end) return "aedes";
    // Answered here, because aedes reads nothing while messages that it has wait for their turn: who gets no answer to its
    // ping takes us for dead, connects again and sends all of them again.
    this.write(PINGRESP);
    return "taken";
  }

  /** Of a packet that is too large for an ordinary one. `aedes`: too little of it has come to tell. */
  #wayOfLarge(type: number): Way {
    const frames = this.#frames;
    if (type !== PACKET.publish || this.#state !== "open") return "breach";
    if (!this.#parts.readTopic(frames)) return "aedes";
    const right = this.#rights?.find(frames.bytes, this.#parts.topicStart, this.#parts.topicEnd);
    if (right?.kind !== "ingest") return "breach";
    const size = frames.end - frames.start;
    if (!this.#host.large.claim(this, size)) return "stop";
    this.#large = size;
    frames.hasRoom = true;
    return "taken";
  }

  #publish(): Way {
    const frames = this.#frames;
    const parts = this.#parts;
    if (!parts.read(frames)) return "breach";
    const { qos, messageId, retain, dup } = parts;
    const rights = this.#rights;
    assert(rights, "an open connection has its rights");
    const right = rights.find(frames.bytes, parts.topicStart, parts.topicEnd);
    if (
      this.#host.budget.full &&
      (right.kind === "ingest" || (qos > 0 && this.#waitsForReading()))
    ) {
      this.#host.budget.wait(this.#pumpAgain);
      return "stop";
    }
    const large = this.#large;
    const size = large === 0 ? frames.end - frames.start : 0;
    const publish = new Publish(this, right, qos, messageId, retain, size, large);
    if (right.kind === "denied" || (right.kind === "ordinary" && qos < 2)) {
      this.#handed.push(publish);
      // QoS 0 has no acknowledgement whose turn could come.
      if (qos > 0) this.#enqueue(publish);
      return "aedes";
    }
    const { ingest } = this.#host;
    if (qos === 2 && ingest.full) return "breach";
    if (large > 0) {
      this.#large = 0;
      frames.hasRoom = false;
      this.#host.large.whole(this);
    }
    publish.bytes = frames.bytes;
    publish.payloadStart = parts.payload;
    publish.payloadEnd = frames.end;
    this.#enqueue(publish);
    const payload = frames.bytes.subarray(parts.payload, frames.end);
    let ready: boolean;
    if (qos === 2) {
      if (right.kind === "ordinary") ingest.intake.stats.unmatched += 1;
      ready = ingest.takeOnce(publish, right, payload, dup, this);
    } else {
      // [MQTT-3.3.1-10] A retained message without payload removes the retained one; it is no reading.
      const removes = retain && payload.length === 0;
      ready = removes || right.kind !== "ingest" || ingest.take(publish, right, payload, dup, this);
    }
    if (ready) this.#settle(publish);
    else if (publish.isLarge) this.#keeping = publish;
    return "taken";
  }

  /** What comes now would be acknowledged behind a reading that is held, and take memory until then. */
  #waitsForReading(): boolean {
    return (
      this.#oldest !== undefined && !this.#oldest.ready && this.#oldest.right.kind === "ingest"
    );
  }

  /** The end of a QoS 2 message, which is ours to answer, as the message was. */
  #pubrel(): Way {
    const { head, body, end, bytes } = this.#frames;
    // [MQTT-3.6.1-1]
    if (head !== 0x62 || end - body !== 2) return "breach";
    const high = bytes[body] ?? 0;
    const low = bytes[body + 1] ?? 0;
    const pubcomp = Buffer.of(PUBCOMP, 2, high, low);
    const forgotten = this.#host.ingest.release(this, (high << 8) | low);
    if (forgotten === undefined) this.write(pubcomp);
    else {
      void forgotten.then((done) => {
        if (done && this.#state === "open") this.write(pubcomp);
      });
    }
    return "taken";
  }

  #enqueue(publish: Publish): void {
    this.#inFlight += 1;
    this.#inFlightBytes += publish.size;
    this.#host.budget.take(publish.size);
    if (this.#oldest === undefined) this.#oldest = publish;
    else if (this.#newest) this.#newest.next = publish;
    this.#newest = publish;
  }

  #hand(bytes: Buffer): void {
    if (!this.push(bytes)) this.#aedesFull = true;
  }

  #stopOrGo(stop: boolean): void {
    if (stop) {
      if (!this.#stopped) this.#socket.pause();
      this.#stopped = true;
      return;
    }
    if (this.#stopped) {
      this.#stopped = false;
      this.#keepalive?.refresh();
      this.#socket.resume();
    }
    // All that it sent has been taken: aedes may see the end.
    if (!this.#ended || this.#endPassed) return;
    this.#endPassed = true;
    this.push(null);
  }

  #keepaliveOver(): void {
    if (this.#stopped) this.#keepalive?.refresh();
    else this.destroy(new ProtocolError("keep alive timeout"));
  }

  #breach(reason: "large" | "malformed"): void {
    if (reason === "large") this.#host.onPacketTooLarge();
    this.destroy(new ProtocolError(reason === "large" ? "packet too large" : "malformed packet"));
  }

  /** Stops taking part; what is on its way to the disk goes on without it, or not at all. */
  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#keepalive);
    this.#rights?.clear();
    this.#host.budget.leave(this.#pumpAgain);
    this.#host.unfinished.hold(this, 0);
    this.#host.large.leave(this);
    let kept = 0;
    let keptBytes = 0;
    for (let publish = this.#oldest; publish; publish = publish.next) {
      if (!publish.offered) this.#host.ingest.abandon(publish, this.id);
      else if (publish.ready) this.#deliverAfterClose(publish);
      // A clean session's device sends it again as a new one, so that it would be stored twice. A persistent session's
      // redelivery is recognised and joins this one, and what has no acknowledgement comes only once.
      if (publish.qos > 0 && this.session === undefined && !this.#orderly) publish.gone = true;
      if (publish.offered && !publish.ready && !publish.gone) {
        kept += 1;
        keptBytes += publish.size;
      } else this.#host.large.give(publish.large);
    }
    this.#host.budget.give(this.#inFlight - kept, this.#inFlightBytes - keptBytes);
    this.#oldest = undefined;
    this.#newest = undefined;
  }

  override _read(): void {
    if (!this.#aedesFull) return;
    this.#aedesFull = false;
    this.#pump();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const bytes = this.#connack.mend(chunk);
    if (bytes.length === 0 || this.#socket.destroyed || this.#socket.write(bytes)) done();
    else this.#onDrain = done;
  }

  override _writev(
    chunks: { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#close();
    this.#socket.destroy();
    done(error);
  }
}
