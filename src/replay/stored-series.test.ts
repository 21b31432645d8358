import { expect, test } from "bun:test";
import { microsOfStamp, stampOfMicros } from "../market/stamp-micros.ts";
import { unavailable } from "../protocol/errors.ts";
import { storedSeries } from "./stored-series.ts";

const SECOND = 1e6;
const START = microsOfStamp("2024-01-02 00:00:00");
const DAY = 86_400 * SECOND;

/** A table of times with a number each; counts its reads. */
function tableOf(moments: number[]) {
  const rows = moments.map((micros, id) => ({ timestamp: stampOfMicros(micros), id }));
  const table = {
    reads: 0,
    async *read({ from, to, limit }: { from: number; to: number; limit: number }) {
      table.reads++;
      const data = rows.filter(({ timestamp }) => {
        const micros = microsOfStamp(timestamp);
        return micros >= from && micros <= to;
      });
      yield data.slice(0, limit);
    },
  };
  return table;
}

async function idsOf(
  table: ReturnType<typeof tableOf>,
  rowsMax: number,
  from = START,
  to = START + 900 * DAY,
) {
  const ids: unknown[] = [];
  const { signal } = new AbortController();
  const { read } = table;
  for await (const rows of storedSeries({
    stampName: "timestamp",
    read,
    fromMicros: from,
    toMicros: to,
    rowsMax,
    signal,
  })) {
    expect(rows.length).toBeLessThanOrEqual(rowsMax);
    ids.push(...rows.map(({ record }) => record.id));
  }
  return ids;
}

test("each row is given once and in order, however many share a stamp", async () => {
  const moments = [START, START, START + 1];
  for (let i = 0; i < 40; i++) moments.push(START + 5 * SECOND);
  for (let i = 0; i < 300; i++) moments.push(START + 10 * SECOND + Math.floor(i / 7) * 1_000);
  for (let i = 0; i < 30; i++) moments.push(START + 20 * DAY + i * 3_600 * SECOND);
  for (const rowsMax of [1, 2, 7, 40, 1_000]) {
    const table = tableOf(moments);
    expect(await idsOf(table, rowsMax)).toEqual(moments.map((_, id) => id));
  }
});

test("years without rows take few reads", async () => {
  const table = tableOf([START, START + 800 * DAY]);
  expect(await idsOf(table, 100)).toEqual([0, 1]);
  expect(table.reads).toBeLessThan(15);
});

test("the bounds are inclusive", async () => {
  const table = tableOf([START, START + 1, START + 2, START + 3]);
  expect(await idsOf(table, 100, START + 1, START + 2)).toEqual([1, 2]);
});

test("a database that is away for a moment is asked again", async () => {
  const table = tableOf([START]);
  const read = table.read;
  table.read = async function* (window) {
    if (table.reads++ === 0) throw unavailable("read: the database is away");
    yield* read(window);
  };
  expect(await idsOf(table, 100, START, START + SECOND)).toEqual([0]);
});
