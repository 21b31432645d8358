import { expect, test } from "bun:test";
import { DAY_MICROS } from "./spans.ts";
import { isKnownNote, noteText, readNote, type TickerNote } from "./ticker-note.ts";

const DAY = 20_000 * DAY_MICROS;
const NOTE: TickerNote = {
  ...{ ticker: "A", step: 3, epoch: "e", to: 7, intervals: ["1min"], keptFrom: DAY },
  todo: [{ from: DAY, until: Number.POSITIVE_INFINITY }],
};

test("a note is read as it was written", () => {
  expect(readNote(noteText(NOTE), "A")).toEqual(NOTE);
  const whole = { ...NOTE, keptFrom: null, todo: [{ from: Number.NEGATIVE_INFINITY, until: 5 }] };
  expect(readNote(noteText(whole), "A")).toEqual(whole);
});

test("one of an older server is the ticker's own, and has no floor", () => {
  const old = { step: 3, epoch: "e", to: 7, intervals: ["1min"], todo: [[null, null]] };
  expect(readNote(JSON.stringify(old), "B")).toEqual({
    ...NOTE,
    ticker: "B",
    keptFrom: null,
    todo: [{ from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }],
  });
});

test("nothing before the floor is left to make", () => {
  const todo = [
    { from: Number.NEGATIVE_INFINITY, until: DAY - 5 },
    { from: DAY - 4, until: DAY },
    { from: DAY - 3, until: DAY + 3 },
  ];
  expect(readNote(noteText({ ...NOTE, todo }), "A")!.todo).toEqual([{ from: DAY, until: DAY + 3 }]);
});

test("what is no note can't be read", () => {
  for (const text of [null, "", "{", '{"begun":"x"}', noteText({ ...NOTE, keptFrom: Number.NaN }).slice(1)])
    expect(readNote(text, "A")).toBeNull();
  for (const wrong of [{ keptFrom: "x" }, { keptFrom: 1.5 }, { ticker: 5 }, { to: null }])
    expect(readNote(JSON.stringify({ ...JSON.parse(noteText(NOTE)), ...wrong }), "A")).toBeNull();
});

test("it tells what the bars have: of its ticker, epoch and lengths alone", () => {
  const own = { ticker: "A", epoch: "e", labels: ["1min"] };
  expect(isKnownNote(NOTE, own)).toBe(true);
  expect(isKnownNote(NOTE, { ...own, labels: [] })).toBe(true);
  for (const other of [{ ticker: "B" }, { epoch: "f" }, { labels: ["1min", "5min"] }, { labels: ["1min 2"] }])
    expect(isKnownNote(NOTE, { ...own, ...other })).toBe(false);
  expect(isKnownNote(null, own)).toBe(false);
});
