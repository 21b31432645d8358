import { expect, test } from "bun:test";
import { findStrayEntries, judge } from "./judge.ts";
import { loadTranscript, type Step } from "./transcript.ts";

test("every entry of deviations.ts is for a step of a transcript", async () => {
  const names = ["bars", "ticks", "errors", "http", "indicators", "ws", "other"] as const;
  expect(findStrayEntries(await Promise.all(names.map(loadTranscript)))).toEqual([]);
});

const step: Step = { id: "x-001", about: "", volatile: ["body.stamp"], impl_text: ["body.details"] };
const recorded = { status: 400, body: { error: "no", details: "by Python", stamp: "2024-01-02T10:00:00Z" } };

function judgeStep(id: string, got: Parameters<typeof judge>[0]): string[] {
  return judge(got, { step: { ...step, id }, recorded, steps: [] });
}

test("an unlisted difference is one, wherever it is", () => {
  const body = { error: "no", stamp: "2024-01-02T10:00:00Z" };
  expect(judgeStep("x-001", { status: 400, body })).toEqual([]);
  expect(judgeStep("x-001", { status: 400, body: { ...body, hint: "try" } })).toEqual([]);
  expect(judgeStep("x-001", { status: 200, body })).toHaveLength(1);
  expect(judgeStep("x-001", { status: 400, body: { ...body, error: "yes" } })).toHaveLength(1);
  expect(judgeStep("x-001", { status: 400, body: { ...body, more: 1 } })).toHaveLength(1);
  expect(judgeStep("x-001", { status: 400, body: { error: "no" } })).toHaveLength(1);
});

test("a stamp that may differ still has its form", () => {
  const got = (stamp: string) => judgeStep("x-001", { status: 400, body: { error: "no", stamp } });
  expect(got("2026-12-31T00:00:01Z")).toEqual([]);
  expect(got("2026-12-31T00:00:01")).toHaveLength(1);
});

test("an entry whose step is answered as recorded is a mistake", () => {
  const got = { status: 400, body: { error: "no", stamp: "2024-01-02T10:00:00Z" } };
  expect(judgeStep("bars-005", got)).toEqual([expect.stringContaining("answered as recorded")]);
});
