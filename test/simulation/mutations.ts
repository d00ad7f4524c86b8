/**
 * Bugs to be planted: what a tired person could write, each at one place of the product. The simulation must find every one
 * of them within so many seeds, or it is worth nothing (mutations.test.ts).
 */

export interface Mutation {
  readonly name: string;
  /** Below the project's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly put: string;
  /** Found within so many seeds, counted from 1. */
  readonly seeds: number;
  /** In scenarios of which so many have disks that decay; 0.2 without it. */
  readonly decay?: number;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "acknowledged before the sync",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "await this.#storage.write(change);",
    put: "void this.#storage.write(change).catch(() => {});",
    seeds: 10,
  },
  {
    name: "released before the log has it",
    file: "gateway/forwarder/forwarder.ts",
    find: "this.#sending = { batch, upTo: last.position, bytes };",
    put: "this.#sending = { batch, upTo: last.position, bytes }; void buffer.release(last.position).catch(() => {});",
    seeds: 10,
  },
  {
    name: "released one event too many",
    file: "gateway/forwarder/forwarder.ts",
    find: "this.#options.buffer.release(sending.upTo),",
    put: "this.#options.buffer.release(Math.min(sending.upTo + 1, this.#options.buffer.stats().positions.accepted)),",
    seeds: 10,
  },
  {
    name: "what is sent again after a restart is another batch, under other sequences",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "const from = Math.max(after, this.#released) + 1;",
    put: "const from = Math.max(after, this.#released) + (this.#commits > 0 || after === 0 ? 1 : 2);",
    seeds: 20,
  },
  {
    name: "the log's memory of what stands there is one short",
    file: "stream/embedded/sink.ts",
    find: "place[2] <= end[2]",
    put: "place[2] < end[2]",
    seeds: 10,
  },
  {
    name: "processors take the newest duplicate for new",
    file: "cloud/dedupe.core.ts",
    find: "if (sequence >= from) return undefined;",
    put: "if (sequence >= from && sequence < to) return undefined;\n  if (sequence === to) return { older, from, to };",
    seeds: 20,
  },
  {
    name: "a change of state is not written",
    file: "stream/embedded/partition-task.ts",
    find: "puts: [...puts, ...moved.map((lane) => lane.position())],",
    put: "puts: [...puts.slice(0, -1), ...moved.map((lane) => lane.position())],",
    seeds: 20,
  },
  {
    name: "the position is not written with the outputs",
    file: "stream/embedded/partition-task.ts",
    find: "puts: [...puts, ...moved.map((lane) => lane.position())],",
    put: "puts,",
    seeds: 20,
  },
  {
    name: "a window ends one millisecond late",
    file: "cloud/rollups.core.ts",
    find: "const window = Math.floor(time / ms) * ms;",
    put: "const window = Math.floor((time - 1) / ms) * ms;",
    seeds: 20,
  },
  {
    name: "what failed to be written is taken for stored",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "if (!kept) again.push(item);",
    put: "if (!kept && item.own) again.push(item);",
    seeds: 10,
  },
  {
    name: "what is written again goes behind what came later",
    file: "gateway/buffer/waiting-room.ts",
    find: "this.#others = [...others, ...this.#others.slice(this.#head)];",
    put: "this.#others = [...this.#others.slice(this.#head), ...others];",
    seeds: 20,
  },
  {
    name: "a declared loss is one short",
    file: "gateway/buffer/drops.ts",
    find: "const [from, to] = [run.from - chapter.base, run.to - chapter.base];",
    put: "const [from, to] = [run.from - chapter.base, run.to - chapter.base - 1];",
    seeds: 20,
  },
  {
    name: "a repetition after the acknowledgement is new",
    file: "gateway/mqtt/redelivery.core.ts",
    find: "if (position === undefined) return NEW;",
    put: "return NEW;",
    seeds: 20,
  },
  {
    name: "what was acknowledged last is not on disk with its event",
    file: "gateway/mqtt/ingest.ts",
    find: "const notes = this.#withSession(publish, session, qos1Note(session.number, open.record));",
    put: "const notes = this.#withSession(publish, session, qos1Note(session.number, open.record)).slice(1);",
    seeds: 20,
  },
  {
    name: "a QoS 2 handshake is not on disk with its event",
    file: "gateway/mqtt/ingest.ts",
    find: "const notes = note && session ? this.#withSession(publish, session, note) : undefined;",
    put: "const notes = note && session ? undefined : undefined;",
    seeds: 20,
  },
  {
    name: "a clock that was set is told the wrong way round",
    file: "gateway/clock-watch.ts",
    find: 'const value = encodeEvent("tidegate.clock", { ...stamp, ...change });',
    put: 'const value = encodeEvent("tidegate.clock", { ...stamp, ...change, offset: change.offset - 3_600_000 });',
    seeds: 20,
  },
  {
    name: "a heartbeat makes no alert fire",
    file: "rules/engine.core.ts",
    find: 'if (episode?.phase !== "pending" || elapsed(episode.sinceMoment, moment) < rule.forMs) {',
    put: "if (rule.forMs >= 0) {",
    seeds: 20,
  },
  {
    name: "an alert fires a moment too soon",
    file: "rules/engine.core.ts",
    find: "if (held < rule.forMs) return",
    put: "if (held < rule.forMs - 1000) return",
    seeds: 20,
  },
  {
    name: "late readings make alerts flap",
    file: "rules/engine.core.ts",
    find: 'if (late && reading.timed === "device") return { memory };',
    put: "",
    seeds: 20,
  },
  {
    name: "the ledger forgets a declared loss's last position",
    file: "cloud/ledger.core.ts",
    find: "const declared = add(account.declared, loss.from, loss.to);",
    put: "const declared = add(account.declared, loss.from, Math.max(loss.from, loss.to - 1));",
    seeds: 20,
  },
  {
    name: "a heartbeat once, and never again",
    file: "gateway/reporter.ts",
    find: "      this.#heartbeatInFlight = false;",
    put: "",
    seeds: 20,
  },
  {
    name: "a buffer that refuses drops the oldest all the same",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: 'if (this.#options.policy !== "drop-oldest") return [];',
    put: "",
    seeds: 40,
  },
  {
    name: "nothing waits for the time",
    file: "gateway/clock.core.ts",
    find: "if (state.offset === undefined) return uptime < waitMs;",
    put: "if (state.offset === undefined) return false;",
    seeds: 40,
  },
  {
    name: "what got its time late is still said to have none",
    file: "events/stamp.ts",
    find: 'event.clock === "device" ? "device" : "restamped";',
    put: "event.clock;",
    seeds: 40,
  },
  {
    name: "the header has the time before it was put right",
    file: "gateway/forwarder/freeze.core.ts",
    find: 'const time = received === undefined || stamp?.clock === "device" ? event.time : received;',
    put: "const time = event.time;",
    seeds: 20,
  },
  {
    name: "a heartbeat that overtakes a reading",
    file: "gateway/forwarder/forwarder.ts",
    find: "const sent = events.slice(0, sendable(events, held));",
    put: 'const isBeat = (event: BufferedEvent) => event.type === "tidegate.heartbeat";\n      const sent = events.slice(0, sendable(events, held)).sort((a, b) => Number(isBeat(b)) - Number(isBeat(a)));',
    seeds: 10,
  },
  {
    name: "resend of a changed batch: what is being sent gives way for room",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "const sent = Math.max(this.#sent, released);",
    put: "const sent = released;",
    seeds: 20,
  },
  {
    name: "resend of a changed batch: ids are counted from its beginning",
    file: "gateway/forwarder/freeze.core.ts",
    find: "records: events.map((event) => record(gateway, source, event, offsets)),",
    put: "records: events.map((event, i) => record(gateway, source, { ...event, sequence: (events[0]?.sequence ?? 0) + i }, offsets)),",
    seeds: 20,
  },
  {
    name: "the epoch is not changed after a salvage",
    file: "gateway/buffer/salvage-walk.ts",
    find: "...{ chapters, highest, released, epoch, reason, owner, origin },",
    put: "...{ chapters, highest, released, epoch: chapters.at(-1)?.epoch ?? epoch, reason, owner, origin },",
    seeds: 20,
    decay: 1,
  },
  {
    name: "a store that lost its end is taken as it is",
    file: "gateway/buffer/mark.core.ts",
    find: "if (accepted < mark.accepted) {",
    put: "if (accepted + 100 < mark.accepted) {",
    seeds: 20,
    decay: 1,
  },
  {
    name: "acknowledged before the mark",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "if (accepted > this.#confirmed) await this.#storage.confirm(accepted, this.#released);",
    put: "if (accepted > this.#confirmed) void this.#storage.confirm(accepted, this.#released).catch(() => {});",
    seeds: 10,
  },
  {
    name: "what stands behind a damaged record is given up",
    file: "gateway/buffer/frame.core.ts",
    find: "} else at += 1;",
    put: "} else break;",
    seeds: 20,
    decay: 1,
  },
  {
    name: "a salvage passes over what is missing",
    file: "gateway/buffer/salvage-walk.ts",
    find: "if (from > covered + 1) await declare(covered + 1, from - 1);",
    put: "",
    seeds: 20,
    decay: 1,
  },
  {
    name: "a salvage declares what was released",
    file: "gateway/buffer/salvage-walk.ts",
    find: "foreign(mark, known) ? 0 : (mark?.released ?? 0)",
    put: "0",
    seeds: 20,
    decay: 1,
  },
  {
    name: "the end of the epoch before is told one short",
    file: "gateway/buffer/new-epoch.core.ts",
    find: "highest: highest - before.base }",
    put: "highest: highest - before.base - 1 }",
    seeds: 20,
    decay: 1,
  },
  {
    name: "a read passes over a damaged record",
    file: "gateway/buffer/group-commit-buffer.ts",
    find: "if (!intact || first !== expected) break;",
    put: "if (!intact) expected = first;\n        if (first !== expected && intact && found.length > 0) expected = first;",
    seeds: 20,
    decay: 1,
  },
  {
    name: "a repetition is told by its id alone",
    file: "gateway/mqtt/redelivery.core.ts",
    find: "if (this.#hashes[place] !== hash || age < 0 || age > 1) return NEW;",
    put: "if (age < 0 || age > 1) return NEW;",
    seeds: 20,
  },
];
