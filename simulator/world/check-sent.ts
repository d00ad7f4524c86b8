/** The devices' side of a run, held against the journals (oracle-sent.ts), in words with the story of each reading. */
import type { JournalRecord } from "../oracle-journal.ts";
import { promisedRecognitions } from "../oracle-redelivery.ts";
import { checkSent, type SentReading, type SentWrite } from "../oracle-sent.ts";
import { clockText } from "./record.ts";
import type { SentEntry } from "./world.ts";

/**
 * @param gone positions of each gateway that went with its disk
 * @param forgetful gateways whose disk lost what it knew of sessions: they recognise nothing for certain
 * @param restored gateways that went on from an old copy, and so may send what was given up for space after what came later
 */
export function sentProblems(
  sent: readonly SentEntry[],
  events: readonly JournalRecord[],
  gone: ReadonlyMap<string, number>,
  forgetful: ReadonlySet<string>,
  restored: ReadonlySet<string>,
): readonly string[] {
  const remembered = sent.filter(({ gateway }) => !forgetful.has(gateway));
  const verdict = checkSent(sent, events, { recognised: recognitions(remembered), gone });
  return [
    ...verdict.missing.map((one) => `acknowledged, and not in the journal: ${story(one)}`),
    ...verdict.surplus.map((one) => `counts ${one.times} times: ${story(one.reading)}`),
    ...verdict.changed.map(
      (one) => `stands there as ${JSON.stringify(one.stored)}: ${story(one.reading)}`,
    ),
    ...verdict.unknown.map((one) => `was never sent: ${JSON.stringify(one)}`),
    ...verdict.order
      .filter(({ first }) => !restored.has(first.gateway))
      .map((one) => `${story(one.second)} stands before ${story(one.first)}`),
  ];
}

/** Which repetitions the gateway has promised to tell. */
function recognitions(sent: readonly SentEntry[]): ReadonlySet<SentWrite> {
  const promised = new Set<SentWrite>();
  for (const own of Map.groupBy(sent, ({ gateway, device }) => `${gateway} ${device}`).values()) {
    const late = new Set<SentWrite>();
    for (const { writes } of own) {
      // At QoS 2 an id is free once its exchange is over: what comes under it is new, DUP or not.
      for (const write of writes) if (write.qos === 2 && write.late) late.add(write);
    }
    for (const write of promisedRecognitions(own, own[0]?.persistent ?? false)) {
      if (!late.has(write)) promised.add(write);
    }
  }
  return promised;
}

function story(reading: SentReading): string {
  const { device, metrics, n, writes, acknowledgedAt } = reading as SentEntry;
  const times = writes.map(({ at, fresh, dup, messageId }) => {
    const how = fresh ? "sent" : dup ? "sent again with DUP" : "sent again";
    return `${how} as ${messageId} ${clockText(at)}`;
  });
  const end = acknowledgedAt === undefined ? "" : `, acknowledged ${clockText(acknowledgedAt)}`;
  return `${device} ${n} ${JSON.stringify(metrics)}: ${times.join(", ")}${end}`;
}
