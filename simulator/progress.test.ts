import { describe, expect, test } from "vitest";
import {
  fleetLine,
  fleetSummaryLine,
  ProgressPrinter,
  replayLine,
  replaySummaryLine,
} from "./progress.ts";

class Screen {
  isTTY = false;
  columns = 20;
  text = "";
  write(text: string): void {
    this.text += text;
  }
}

const fleet = {
  elapsedMs: 65_000,
  devices: 50,
  connected: 49,
  sleeping: 0,
  sent: 3200,
  acknowledged: 3190,
  outstanding: 10,
  queued: 0,
  dropped: 0,
  resent: 2,
  reconnects: 1,
  sentPerSecond: 50,
  acknowledgedPerSecond: 49.7,
  latencyP50Ms: 1.24,
  latencyP99Ms: 18.4,
  latenessP99Ms: 2,
  fault: "connect ECONNREFUSED 127.0.0.1:1883",
};

describe("progress", () => {
  test("on a terminal one line is written over, and never wraps", () => {
    const screen = new Screen();
    screen.isTTY = true;
    const printer = new ProgressPrinter(screen);
    printer.update("first");
    printer.update("a line much longer than the terminal");
    printer.end("done");
    expect(screen.text).toBe("\r\u001b[2Kfirst\r\u001b[2Ka line much longer…\r\u001b[2Kdone\n");
  });

  test("elsewhere a line every five seconds", () => {
    const screen = new Screen();
    let now = 0;
    const printer = new ProgressPrinter(screen, () => now);
    for (; now <= 11_000; now += 1000) printer.update(`at ${now}`);
    printer.end("done");
    expect(screen.text).toBe("at 0\nat 5000\nat 10000\ndone\n");
  });

  test("devices that sleep are told of as what they are, apart from those that are missing", () => {
    const sleepy = { ...fleet, devices: 30, connected: 25, sleeping: 5 };
    expect(fleetLine(sleepy)).toContain(" · 25 connected, 5 asleep · ");
    expect(fleetLine({ ...sleepy, sleeping: 4 })).toContain(
      " · 25 connected, 4 asleep, 1 not connected · ",
    );
  });

  test("a fleet's line", () => {
    expect(fleetLine(fleet)).toBe(
      "1:05 min · 49 of 50 connected · 3,190 acknowledged (50/s) · 1.2 ms (p99 18)" +
        " · 10 outstanding · connect ECONNREFUSED 127.0.0.1:1883",
    );
    expect(
      fleetSummaryLine({ ...fleet, unacknowledged: 10, unsent: 0, asleep: 0, faults: [] }),
    ).toBe(
      "3,200 sent by 50 devices in 1:05 min, 3,190 acknowledged, 1.2 ms (p99 18), 10 not acknowledged, 2 sent again, 1 reconnects",
    );
  });

  test("a process that is too busy itself says so", () => {
    expect(fleetLine({ ...fleet, latenessP99Ms: 61.4 })).toContain(
      " · this process is 61 ms late itself · ",
    );
  });

  test("a replay's line", () => {
    const progress = {
      elapsedMs: 2500,
      device: "office",
      sent: 510,
      acknowledged: 500,
      total: 1000,
      skipped: 0,
      resent: 0,
      acknowledgedPerSecond: 200,
      latencyP50Ms: undefined,
      latencyP99Ms: undefined,
      recordedTime: Date.UTC(2015, 1, 4, 17, 51),
      connected: true,
      fault: undefined,
    };
    expect(replayLine(progress)).toBe(
      "2.5 s · 500 of 1,000 rows (50 %) · 200/s · at 2015-02-04T17:51Z",
    );
    expect(
      replaySummaryLine({
        ...progress,
        metrics: ["a"],
        rows: 1001,
        skipped: 1,
        skippedBecause: ["f.csv:3: bad"],
        firstTime: Date.UTC(2015, 1, 4),
        lastTime: Date.UTC(2015, 1, 10),
        aborted: true,
      }),
    ).toBe(
      "510 rows sent as office in 2.5 s, 500 acknowledged, recorded from 2015-02-04 to 2015-02-10, 1 rows passed over (f.csv:3: bad), stopped before the end",
    );
  });
});
