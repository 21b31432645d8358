import { expect, test } from "bun:test";
import { BrokenAnswerError } from "../answered-rows.ts";
import type { JsonRows, TickRow } from "../contract.ts";
import type { SeriesRow } from "../model/kinds.ts";
import { type Walk, walkAnswers } from "./walk-answers.ts";
import { toSequencedRow } from "./wire-rows.ts";

/** Twenty of each second. */
const ROWS = Array.from({ length: 500 }, (_, i): TickRow => {
  const second = String(Math.floor(i / 20)).padStart(2, "0");
  return [
    `2024-01-02 10:00:${second}.000000`,
    i,
    i % 3 === 0 ? "9007199254740993" : i,
    null,
    null,
    null,
    null,
    i % 20,
  ];
});

/** Answers that break off after some rows. */
function brokenAnswers(rowsPerAnswer: number) {
  const asked: (string | null)[] = [];
  async function* pieces(texts: string[]): AsyncGenerator<string> {
    yield `{"data":[${texts.slice(0, rowsPerAnswer).join(",")}`;
    if (texts.length > rowsPerAnswer) throw new BrokenAnswerError("the answer broke off");
    yield "]}";
  }
  const walk: Walk = {
    from: null,
    async ask(from): Promise<JsonRows> {
      asked.push(from);
      const rows = ROWS.filter(([stamp]) => stamp >= (from ?? ""));
      return { empty: false, chunks: pieces(rows.map(textOf)) };
    },
    toRow: (row) => toSequencedRow("ticks", row),
    isAfter: (row, last) => (row[0] === last[0] ? row.at(-1)! > last.at(-1)! : row[0] > last[0]),
    where: "A trade",
  };
  return { walk, asked };
}

function textOf([stamp, price, size, , , , , seq]: TickRow): string {
  return `{"timestamp":"${stamp.replace(" ", "T")}Z","price":${price},"size":${size},"seq":${seq}}`;
}

test("an answer that breaks off is asked for again from the last row on, and each row comes once", async () => {
  const { walk, asked } = brokenAnswers(70);
  const rows: SeriesRow[] = [];
  for await (const batch of walkAnswers(walk)) {
    rows.push(...batch.map((row): SeriesRow => [...row]));
    // As whoever takes them may do.
    for (const row of batch) row[0] = "";
  }
  expect(rows).toEqual(ROWS);
  expect(asked.length).toBeGreaterThan(ROWS.length / 70);
  expect(asked[0]).toBeNull();
});

test("answers that never get any further end the walk", async () => {
  const { walk, asked } = brokenAnswers(20);
  await expect(Array.fromAsync(walkAnswers(walk))).rejects.toThrow("broke off");
  expect(asked.length).toBeLessThan(20);
});

test("a row that no server answers fails the series by name", async () => {
  const { walk } = brokenAnswers(1_000);
  const broken = {
    ...walk,
    toRow: () => toSequencedRow("ticks", { timestamp: "2024-01-02T10:00:00.000000Z" }),
  };
  await expect(Array.fromAsync(walkAnswers(broken))).rejects.toThrow("A trade: tick");
});
