/** A machine's clocks by hand: time passes, jumps and boots when the test says so. */
import type { Clock } from "../clock.ts";

export class ManualClock implements Clock {
  boot: string;
  #wall: number;
  #uptime: number;

  constructor(wall: number, uptime: number, boot = "boot-1") {
    this.#wall = wall;
    this.#uptime = uptime;
    this.boot = boot;
  }

  now(): number {
    return this.#wall;
  }

  uptime(): number {
    return this.#uptime;
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.#wall += ms;
    this.#uptime += ms;
  }

  /** Somebody sets the wall clock. */
  set(wall: number): void {
    this.#wall = wall;
  }

  jump(ms: number): void {
    this.#wall += ms;
  }
}
