/**
 * The readings for everybody else: each exactly once, keyed by its device, with what its header and its gateway's journal say of
 * it in the value. Pure.
 *
 * The journal is the record of what gateways accepted, and a consumer of it has to drop repeats, tell types apart and know
 * what a loss is. Whoever only wants readings takes this topic. Nothing that can be read is left out or waits: a reading of
 * which nobody knew the time comes with the time of its sending, and `clock` says so. What cannot be read is told of by the
 * rollups (rejected.core.ts).
 *
 * A device's readings stand in the order of its gateway's journal, which is not always that of their times.
 * State: `seen/<gateway>/<epoch>`, of the size of the holes in the journals.
 */
import { deviceKey } from "../events/ids.ts";
import type { DeviceReading } from "../events/schema.ts";
import type { StepResult, Topology } from "../stream/port.ts";
import { Fault, firstArrival, readingTime, readValue } from "./journal.core.ts";

export interface ReadingsOptions {
  readonly events: string;
  readonly readings: string;
  readonly changelog: string;
}

const NOTHING: StepResult = { state: [], outputs: [] };

export function readingsTopology(options: ReadingsOptions): Topology {
  return {
    name: "readings",
    inputs: [options.events],
    outputs: [{ topic: options.readings, coalesce: false }],
    changelog: options.changelog,
    step(state, input) {
      const first = firstArrival(state, input);
      if (!first) return NOTHING;
      const { journal, seen } = first;
      const { record } = journal;
      if (journal.type !== "tidegate.reading") return { state: [seen], outputs: [] };
      const reading = readValue("tidegate.reading", record);
      if (reading instanceof Fault) return { state: [seen], outputs: [] };
      const { gateway, epoch, sequence } = journal;
      const { device, clock, metrics, received } = reading;
      const time = readingTime(reading, record);
      const event: DeviceReading = {
        gateway,
        device,
        time,
        clock,
        metrics,
        received,
        epoch,
        sequence,
      };
      const output = {
        topic: options.readings,
        key: deviceKey(gateway, device),
        type: "tidegate.device-reading",
        id: `${gateway}/${journal.id}`,
        time,
        event,
      } as const;
      return { state: [seen], outputs: [output] };
    },
  };
}
