import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../test/support/temp-dir.ts";
import type { Save } from "../storage/contract.ts";
import { describeHang, NOTE_FILE, readAllowanceMs, readNote, WriterNote } from "./writer-note.ts";

const bars = {
  kind: "hourly",
  ticker: "Ä€𝒜".repeat(256),
  rows: [1, 2, 3],
} as unknown as Save;
const ticks = { kind: "ticks", ticker: "A", part: "trade", rows: [1] } as unknown as Save;

test("others read what the writer is at, step by step", () => {
  using dir = tempDir();
  expect(readNote(dir.path)).toBeNull();
  const note = new WriterNote(dir.path);
  expect(describeHang(dir.path)).toBe("it was at no save");
  note.begin(ticks, 2);
  expect(readNote(dir.path)).toEqual({ step: "begin", saves: 2, kind: "ticks", ticker: "A", rows: 1 });
  note.at("rows", bars);
  expect(readNote(dir.path)).toEqual({
    step: "rows",
    saves: 2,
    kind: "hourly",
    ticker: bars.ticker,
    rows: 3,
  });
  note.at("rows", ticks);
  note.at("commit");
  expect(describeHang(dir.path)).toBe(
    "it was at a save of A (ticks, 1 rows; one of 2 in its transaction): committing, behind its rows",
  );
  note.end();
  expect(readNote(dir.path)).toBeNull();
});

test("a commit of many rows may be silent for longer, and nothing else may", () => {
  using dir = tempDir();
  const note = new WriterNote(dir.path);
  expect(readAllowanceMs(dir.path)).toBe(0);
  note.begin({ kind: "ticks", ticker: "A", rows: [] }, 1);
  note.at("update log", { kind: "ticks", ticker: "A", rows: { length: 3_000_000 } });
  expect(readAllowanceMs(dir.path)).toBe(0);
  note.at("commit");
  expect(readAllowanceMs(dir.path)).toBe(30_000);
  note.end();
  expect(readAllowanceMs(dir.path)).toBe(0);
});

test("the next hub's note is empty, and half a file is none", () => {
  using dir = tempDir();
  new WriterNote(dir.path).begin(ticks, 1);
  expect(readNote(dir.path)).not.toBeNull();
  new WriterNote(dir.path);
  expect(readNote(dir.path)).toBeNull();
  writeFileSync(join(dir.path, NOTE_FILE), "");
  expect(readNote(dir.path)).toBeNull();
});
