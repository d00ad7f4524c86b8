import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type OpenPublish,
  type PublishRecord,
  RECENT,
  RedeliveryTable,
} from "./redelivery.core.ts";

const A = 1n;
const B = 2n;

/** A table after publishes that were stored at once, all fresh, over connection 1. */
function having(...ids: number[]): RedeliveryTable<string> {
  const table = new RedeliveryTable<string>();
  for (const id of ids) table.close(table.add(id, A, false, 1));
  return table;
}

describe("an id that is open", () => {
  test("the same content joins, other content or no DUP is new", () => {
    const table = new RedeliveryTable<string>();
    const publish = table.add(5, A, false, 1);
    expect(table.judge(5, A, true, 1)).toEqual({ kind: "open", publish });
    expect(table.judge(5, A, true, 9)).toEqual({ kind: "open", publish });
    expect(table.judge(5, B, true, 1).kind).toBe("new");
    expect(table.judge(5, A, false, 1).kind).toBe("new");
    expect(table.judge(6, A, true, 1).kind).toBe("new");
  });

  test("what a rebooted device begins under it stays open when the first one is stored", () => {
    const table = new RedeliveryTable<string>();
    const first = table.add(1, A, false, 1);
    const second = table.add(1, B, false, 2);
    table.close(first);
    expect(table.judge(1, B, true, 2)).toEqual({ kind: "open", publish: second });
  });
});

describe("an id that was acknowledged, of a session that was not seen to use ids again", () => {
  test.each([
    ["on the connection just before", 2, "stored"],
    ["on this connection", 1, "stored"],
    ["on an earlier one", 3, "new"],
  ])("%s", (_, connection, kind) => {
    expect(having(1, 2, 3, 4).judge(4, A, true, connection).kind).toBe(kind);
    expect(having(1, 2, 3, 4).judge(3, A, true, connection).kind).toBe(kind);
  });

  test("other content, no DUP, an id that never was: new", () => {
    expect(having(1, 2, 3).judge(3, B, true, 2).kind).toBe("new");
    expect(having(1, 2, 3).judge(3, A, false, 2).kind).toBe("new");
    expect(having(1, 2, 3).judge(9, A, true, 2).kind).toBe("new");
  });

  test("used afresh since with other content: only that counts", () => {
    const table = having(1, 2, 3, 4);
    table.close(table.add(3, B, false, 2));
    expect(table.judge(3, A, true, 2).kind).toBe("new");
  });

  test("no further back than what is remembered", () => {
    const table = having(...Array.from({ length: 200 }, (_, i) => i + 1));
    expect(table.judge(200, A, true, 2).kind).toBe("stored");
    expect(table.judge(200 - RECENT + 2, A, true, 2).kind).toBe("stored");
    expect(table.judge(200 - RECENT, A, true, 2).kind).toBe("new");
  });

  test("sent again over one connection after another, as long as none of them is left out", () => {
    const table = having(1, 2, 3);
    for (const connection of [2, 3, 4]) {
      expect(table.judge(3, A, true, connection).kind).toBe("stored");
    }
    expect(table.judge(2, A, true, 4).kind).toBe("new");
  });

  test.each([1, 2])("the first message of all, over connection %i", (connection) => {
    expect(having(1).judge(1, A, true, connection).kind).toBe("stored");
    expect(having(1).judge(1, A, true, connection + 2).kind).toBe("new");
  });

  test("a burst of which no id was acknowledged in between", () => {
    const table = new RedeliveryTable<string>();
    const open = [1, 2, 3, 4, 5].map((id) => table.add(id, A, false, 1));
    for (const publish of open) table.close(publish);
    for (const id of [1, 5]) expect(table.judge(id, A, true, 2).kind).toBe("stored");
  });

  test("a device that lost its memory and counts up from 1 again, once it is beyond its first ids", () => {
    const table = having(1, 2, 3);
    for (const id of [1, 2, 3, 4, 5]) table.close(table.add(id, A, false, 2));
    expect(table.judge(5, A, true, 3).kind).toBe("stored");
    expect(table.judge(3, A, true, 3).kind).toBe("stored");
    // Counting up from 1 again after five, as it did, it could mean a new one by this.
    expect(table.judge(1, A, true, 3).kind).toBe("new");
  });

  test("a whole window that was sent again is recognised one by one", () => {
    const table = having(1, 2, 3, 4, 5, 6, 7, 8);
    for (const id of [5, 6, 7, 8]) expect(table.judge(id, A, true, 2).kind).toBe("stored");
  });
});

test("what the disk refused is new when it comes again", () => {
  const table = having(1, 2, 3);
  table.cancel(table.add(4, A, false, 1));
  expect(table.judge(4, A, true, 2).kind).toBe("new");
  expect(table.judge(3, A, true, 2).kind).toBe("stored");
});

describe("a session whose acknowledged ids say nothing", () => {
  test("always id 1", () => {
    expect(having(1, 1).judge(1, A, true, 2).kind).toBe("new");
    expect(having(1, 1, 1).judge(1, A, true, 2).kind).toBe("new");
  });

  test("sent again on the connection on which it was used afresh: as one that is open, and then new", () => {
    const table = having(1);
    const fresh = table.add(1, A, false, 1);
    expect(table.judge(1, A, true, 1)).toEqual({ kind: "open", publish: fresh });
    table.close(fresh);
    expect(table.judge(1, A, true, 1).kind).toBe("new");
  });

  test("always id 1, the first one sent again once before it was used afresh", () => {
    const table = having(1);
    expect(table.judge(1, A, true, 2).kind).toBe("stored");
    table.close(table.add(1, A, false, 2));
    expect(table.judge(1, A, true, 3).kind).toBe("new");
  });

  test("the lowest free id", () => {
    expect(having(1, 2, 1, 2, 3, 1).judge(1, A, true, 2).kind).toBe("new");
  });

  test("once seen to use an id again early it is not trusted for ever", () => {
    const table = having(1, 2, 3, 2, ...Array.from({ length: 300 }, (_, i) => i + 10));
    expect(table.judge(309, A, true, 2).kind).toBe("new");
  });

  test("ids from 1 on in each connection, one message each", () => {
    const table = new RedeliveryTable<string>();
    for (const connection of [1, 2]) table.close(table.add(1, A, false, connection));
    expect(table.judge(1, A, true, 3).kind).toBe("new");
    table.close(table.add(1, A, false, 3));
    expect(table.judge(1, A, true, 4).kind).toBe("new");
  });

  test("an open id is recognised all the same", () => {
    const table = having(1, 1, 1);
    table.add(1, A, false, 1);
    expect(table.judge(1, A, true, 2).kind).toBe("open");
  });
});

test("no device that takes ids in a circle loses a message to the one before under its id, once it was seen to use one again", () => {
  // Every message has the same content, so that only the ids can tell them apart. The connection breaks at any point:
  // some messages were never seen by us, some acknowledgements never by the device.
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 80 }),
      fc.array(
        fc.record({ lost: fc.nat(6), unseen: fc.nat(6), sent: fc.integer({ min: 1, max: 90 }) }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
      (circle, connections) => {
        const table = new RedeliveryTable<string>();
        const stored = new Set<number>();
        const used = new Set<number>();
        let reuseSeen = false;
        let message = 0;
        let resend: number[] = [];
        for (const [connection, { lost, unseen, sent }] of connections.entries()) {
          const take = (number: number, dup: boolean) => {
            const id = (number % circle) + 1;
            if (table.judge(id, A, dup, connection + 1).kind === "new") {
              stored.add(number);
              reuseSeen ||= used.has(id);
              used.add(id);
              table.close(table.add(id, A, dup, connection + 1));
            } else if (reuseSeen || circle >= RECENT) expect(stored.has(number)).toBe(true);
          };
          for (const number of resend) take(number, true);
          const before = message;
          for (; message < before + sent; message += 1) take(message, false);
          // No more may be open at once than there are ids.
          const hidden = Math.min(lost, circle);
          const open = Math.min(unseen, circle - hidden, sent);
          resend = Array.from({ length: open + hidden }, (_, i) => message - open + i);
          message += hidden;
        }
      },
    ),
    { numRuns: 2000 },
  );
});

describe("restore", () => {
  const records = (...ids: number[]): PublishRecord[] => {
    const table = new RedeliveryTable<string>();
    const kept: PublishRecord[] = [];
    for (const id of ids) {
      const publish: OpenPublish<string> = table.add(id, A, false, 7);
      table.close(publish);
      kept.push(publish.record);
    }
    return kept;
  };

  test("what was on disk is judged as before", () => {
    const table = new RedeliveryTable<string>();
    expect(table.restore(records(1, 2, 3).reverse())).toBe(7);
    expect(table.judge(3, A, true, 9).kind).toBe("new");
    expect(table.judge(3, A, true, 8).kind).toBe("stored");
    expect(table.add(4, A, false, 8).record).toMatchObject({ position: 3, reuses: false });
  });

  test("the first message of all is judged as before", () => {
    const table = new RedeliveryTable<string>();
    table.restore(records(1));
    expect(table.judge(1, A, true, 8).kind).toBe("stored");
  });

  test("how early ids came round behind a hole is not known: only what was seen since counts", () => {
    const table = new RedeliveryTable<string>();
    table.restore(records(1, 2, 3, 4, 5).filter(({ position }) => position > 0));
    expect(table.judge(3, A, true, 8).kind).toBe("stored");
    expect(table.judge(2, A, true, 8).kind).toBe("new");
  });

  test("one that used ids again is still known for it", () => {
    const table = new RedeliveryTable<string>();
    table.restore(records(1, 2, 1, 5));
    expect(table.judge(5, A, true, 8).kind).toBe("new");
  });

  test("what lies behind a hole is forgotten", () => {
    const table = new RedeliveryTable<string>();
    table.restore(records(1, 2, 3, 4, 5).filter(({ position }) => position !== 2));
    expect(table.judge(5, A, true, 8).kind).toBe("stored");
    expect(table.judge(2, A, true, 8).kind).toBe("new");
  });
});
