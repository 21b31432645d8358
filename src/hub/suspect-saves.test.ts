import { expect, test } from "bun:test";
import type { Save } from "../storage/contract.ts";
import { SuspectSaves } from "./suspect-saves.ts";
import type { WriterState } from "./writer-note.ts";

const ticks = (ticker: string): Save =>
  ({ kind: "ticks", ticker, part: "trade", onDuplicate: "keep", rows: [] }) as unknown as Save;
const at = (ticker: string, step: WriterState["step"] = "rows"): WriterState => ({
  step,
  saves: 1,
  kind: "ticks",
  ticker,
  rows: 1,
});
const MINUTE = 60_000;

test("a save that a hub died at is a suspect until it is answered, and never refused", () => {
  const suspects = new SuspectSaves();
  for (let death = 0; death < 5; death++) suspects.blame(at("A"), false, 0);
  expect(suspects.has(ticks("A"))).toBe(true);
  expect(suspects.has(ticks("B"))).toBe(false);
  expect(suspects.has({ ...ticks("A"), kind: "daily", part: null } as unknown as Save)).toBe(false);
  expect(suspects.refusal(ticks("A"), 0)).toBeNull();
  suspects.answered(ticks("A"), 1);
  expect(suspects.has(ticks("A"))).toBe(false);
});

test("two hubs that hung at it make it refused for a minute, each further one for twice as long, up to an hour", () => {
  const suspects = new SuspectSaves();
  suspects.blame(at("A"), true, 0);
  expect(suspects.refusal(ticks("A"), 0)).toBeNull();
  suspects.blame(at("A"), true, 0);
  expect(suspects.refusal(ticks("A"), 1_000)).toEqual({
    reason: "the database's writer hung 2 times while it stored ticks of A",
    retryAfterS: 59,
  });
  expect(suspects.refusal(ticks("B"), 0)).toBeNull();
  expect(suspects.refusal(ticks("A"), MINUTE)).toBeNull();
  suspects.blame(at("A"), true, MINUTE);
  expect(suspects.refusal(ticks("A"), MINUTE)?.retryAfterS).toBe(120);
  for (let hang = 0; hang < 20; hang++) suspects.blame(at("A"), true, 0);
  expect(suspects.refusal(ticks("A"), 0)?.retryAfterS).toBe(3_600);
});

test("that a hub hung is remembered although another save of the ticker is stored, but not for ever", () => {
  const suspects = new SuspectSaves();
  suspects.blame(at("A"), true, 0);
  suspects.answered(ticks("A"), MINUTE);
  suspects.blame(at("A"), true, 2 * MINUTE);
  expect(suspects.refusal(ticks("A"), 2 * MINUTE)).not.toBeNull();
  suspects.answered(ticks("A"), 30 * MINUTE);
  expect(suspects.has(ticks("A"))).toBe(false);
});

test("a transaction that begins or ends waits for the disk or a lock: no save is to blame", () => {
  const suspects = new SuspectSaves();
  for (const step of ["begin", "update log", "commit"] as const) suspects.blame(at("A", step), true, 0);
  expect(suspects.has(ticks("A"))).toBe(false);
});

test("a thousand are remembered", () => {
  const suspects = new SuspectSaves();
  for (let i = 0; i <= 1_000; i++) suspects.blame(at(`T${i}`), true, 0);
  expect(suspects.has(ticks("T0"))).toBe(false);
  expect(suspects.has(ticks("T1"))).toBe(true);
});
