/**
 * A device and the world around it. The device (device.ts) decides; the world carries it out: in virtual time
 * (simulator/world) or over a real connection (simulator/mqtt). One model, so that what a test finds in an hour of virtual
 * time is what a fleet of real connections does.
 */
import type { MetricValue } from "../../events/schema.ts";

export interface PublishPacket {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  /** 0 at QoS 0. */
  readonly messageId: number;
  readonly dup: boolean;
}

/** What the world does for one device. Nothing of it calls back before it returns. */
export interface DeviceWorld {
  /** True time, ms since 1970. */
  now(): number;
  /** Answered with connected() or disconnected(). */
  connect(options: { readonly clientId: string; readonly clean: boolean }): void;
  publish(packet: PublishPacket): void;
  pubrel(messageId: number): void;
  /**
   * Ends the connection at once: nothing that belongs to it is told to the device any more, nor is disconnected().
   * @param clean with a DISCONNECT; otherwise the connection just ends, as with a lost radio link
   */
  disconnect(clean: boolean): void;
  /** Calls wake() at that time; another call takes its place. ms since 1970. */
  wakeAt(time: number): void;
}

/** What the world tells the device. */
export interface DeviceEvents {
  wake(): void;
  connected(sessionPresent: boolean): void;
  /** Also where a connection could not be made. */
  disconnected(): void;
  puback(messageId: number): void;
  pubrec(messageId: number): void;
  pubcomp(messageId: number): void;
}

/** One reading of one device. */
export interface SentReading {
  /** Counts from 1 within the device. */
  readonly n: number;
  readonly device: string;
  /** As the payload says; undefined where it has none. */
  readonly time: number | undefined;
  /** True time of the measurement, ms since 1970. */
  readonly measured: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

/** Everything that an oracle has to know of what the device did. */
export interface DeviceRecorder {
  /** @param fresh whether it is a new message: its first sending, or a second one under another packet id */
  written(reading: SentReading, packet: PublishPacket, fresh: boolean): void;
  /** The first acknowledgement, from the device's view: PUBACK, or PUBREC at QoS 2. */
  acknowledged(reading: SentReading): void;
  /** Never sent: the device had no room for it. */
  dropped(reading: SentReading): void;
}
