/**
 * The three accounts of one ticker (what was answered, what is stored, what was seen) when they
 * don't agree.
 */
import { expect, test } from "bun:test";
import { Books } from "./books.ts";
import { judgeStored, judgeSubscriber } from "./judge.ts";
import type { Kind } from "./numbered-saves.ts";
import { identityOf, SeenUpdates } from "./seen-updates.ts";
import type { StoredUpdate } from "./stored-updates.ts";
import { SubscriberCheck } from "./subscriber-check.ts";
import { Violations } from "./violations.ts";

function stored(seq: number, first: number, count = 1, kind: Kind = "trade"): StoredUpdate {
  const records = Array.from({ length: count }, (_, i) =>
    kind === "bar" ? { close: first + i, volume: count } : { price: first + i, size: count },
  );
  return { seq, kind, records, text: `update ${seq}` };
}

function frame({ seq, kind, records }: StoredUpdate): string {
  return JSON.stringify({
    symbol: "A",
    data: kind === "bar" ? records : { type: kind, payload: records },
    seq,
  });
}

async function* each(updates: StoredUpdate[]): AsyncGenerator<StoredUpdate> {
  yield* updates;
}

/** Books with three saves of 1, 2 and 1 records; the last was never answered. */
function books(): Books {
  const made = new Books(["A"]);
  const [book] = made.tickers;
  made.answered(book!, made.begin(book!, "trade", 1));
  made.answered(book!, made.begin(book!, "trade", 2));
  made.begin(book!, "trade", 1);
  return made;
}

async function judge(updates: StoredUpdate[], seen = new SeenUpdates()): Promise<string[]> {
  const violations = new Violations();
  await judgeStored({ book: books().tickers[0]!, seen, stored: each(updates) }, violations);
  return violations.kept.map(({ what }) => what);
}

test("what was answered is stored once; what wasn't may be", async () => {
  expect(await judge([stored(1, 1), stored(2, 2, 2)])).toEqual([]);
  expect(await judge([stored(1, 1), stored(2, 4), stored(3, 2, 2)])).toEqual([]);
});

test("an answered save that is in no update, and one that is in two", async () => {
  expect(await judge([stored(1, 1)])).toEqual(["no update holds the answered records 2, 3"]);
  expect(await judge([stored(1, 1), stored(2, 2, 2), stored(3, 1)])).toEqual([
    "record 1 is in update 3, and in one before",
  ]);
});

test("a hole in the log, half a save, and records from nowhere", async () => {
  expect(await judge([stored(1, 1), stored(3, 2, 2)])).toEqual(["update 3 follows 1"]);
  const half = { ...stored(2, 2, 2), records: [{ price: 2, size: 2 }] };
  expect(await judge([stored(1, 1), half])).toEqual([
    "update 2 is not one whole save",
    "no update holds the answered records 2, 3",
  ]);
  expect(await judge([stored(1, 1), stored(2, 2, 2), stored(3, 9)])).toEqual([
    "update 3 holds records that were never sent",
  ]);
});

test("a stored update that was another one for those who saw it", async () => {
  const seen = new SeenUpdates();
  seen.note(2, identityOf("trade", 4));
  expect(await judge([stored(1, 1), stored(2, 2, 2)], seen)).toEqual([
    "update 2 was another one for its subscribers",
  ]);
});

const LOG = [stored(1, 1), stored(2, 2, 1, "bar"), stored(3, 3), stored(4, 4)];
const IDENTITIES = [0, ...LOG.map(({ kind, records }) => identityOf(kind, numberOf(records)))];

function numberOf(records: unknown[]): number {
  const { price, close } = records[0] as { price?: number; close?: number };
  return price ?? close!;
}

function judgeSeen(
  frames: string[],
  types: Kind[] | null = null,
  heartbeat = 4,
): { whats: string[]; lost: number } {
  const violations = new Violations();
  const check = new SubscriberCheck(
    { name: "s", tickers: ["A"], types },
    () => new SeenUpdates(),
    violations,
  );
  const beat = (seq: number) => JSON.stringify({ symbol: "A", data: { type: "heartbeat" }, seq, epoch: "e" });
  for (const text of [beat(0), ...frames, beat(heartbeat)]) check.take(text);
  violations.kept.length = 0;
  judgeSubscriber(check, new Map([["A", IDENTITIES]]), violations);
  return { whats: violations.kept.map(({ what }) => what), lost: check.tickers.get("A")!.counts.lost };
}

test("a subscriber that saw all, and one that saw all of its types", () => {
  expect(judgeSeen(LOG.map(frame))).toEqual({ whats: [], lost: 0 });
  expect(judgeSeen([frame(LOG[1]!)], ["bar"])).toEqual({ whats: [], lost: 0 });
});

test("what never came is lost, with types and without", () => {
  expect(judgeSeen([LOG[0]!, LOG[3]!].map(frame))).toEqual({ whats: ["never came: 2, 3"], lost: 2 });
  expect(judgeSeen([LOG[0]!, LOG[3]!].map(frame), ["trade"])).toEqual({ whats: ["never came: 3"], lost: 1 });
});

test("what came late is not lost as well", () => {
  expect(judgeSeen([LOG[0]!, LOG[2]!, LOG[1]!, LOG[3]!].map(frame))).toEqual({ whats: [], lost: 0 });
});

test("more than is stored, and a heartbeat that stays behind", () => {
  expect(judgeSeen([...LOG, stored(5, 5)].map(frame), null, 5).whats).toContain(
    "came, but are not stored: 5",
  );
  expect(judgeSeen(LOG.map(frame), null, 3).whats).toEqual([
    "at rest, the heartbeat's position is 3, the newest update 4",
  ]);
});
