import { expect, test } from "bun:test";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ColumnQuery, rowsOfBatch } from "../model/columns.ts";
import { openRemoteTransfer } from "./transfer.ts";

const ROWS = 30_000;
const QUERY: ColumnQuery = {
  kind: "ticks",
  tickers: null,
  parts: null,
  from: null,
  to: null,
  columns: ["timestamp", "price", "size", "ask_price", "ask_size", "seq"],
};

const stampOf = (row: number): string => `10:00:00.${String(Math.floor(row / 3)).padStart(6, "0")}`;
const tick = (row: number): object => ({
  timestamp: `2024-01-02T${stampOf(row)}Z`,
  ticker: "A",
  type: "trade",
  price: row,
  size: row % 7,
  ask_price: null,
  ask_size: null,
  seq: row % 3,
});

/** A server of one series. @param answer gets the texts of the rows that are asked for. */
async function fakeServer(answer: (response: ServerResponse, rows: string[]) => void) {
  const server = createServer(async (request, response) => {
    response.setHeader("Content-Type", "application/json");
    const end = (body: object): void => void response.end(JSON.stringify(body));
    if (request.url === "/health") return end({ status: "healthy", database: { db_type: "sqlite" } });
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const { command, params } = JSON.parse(body);
    if (command === "get_tickers") return end({ tickers: ["A"] });
    if (command === "get_tick_types") return end({ types: ["trade"] });
    const from: string = params.start_datetime ?? "";
    const rows = Array.from({ length: ROWS }, (_, row) => row);
    const asked = rows.filter((row) => `2024-01-02 ${stampOf(row)}` >= from);
    answer(
      response,
      asked.map((row) => JSON.stringify(tick(row))),
    );
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const transfer = await openRemoteTransfer(`127.0.0.1:${port}`);
  return {
    transfer,
    [Symbol.dispose]() {
      transfer.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("an answer that breaks off goes on with the next row, and each row comes once", async () => {
  let answers = 0;
  using server = await fakeServer((response, rows) => {
    answers++;
    response.write(`{"data":[${rows.slice(0, 10_001).join(",")}`);
    if (rows.length <= 10_001) response.end("]}");
    else setTimeout(() => response.destroy(), 100);
  });
  const prices: unknown[] = [];
  for await (const batch of server.transfer.columns(QUERY))
    prices.push(...rowsOfBatch("ticks", batch).map((row) => row[1]));
  expect(prices).toEqual(Array.from({ length: ROWS }, (_, row) => row));
  expect(answers).toBeGreaterThan(2);
});

test("the signal ends the wait for an answer that doesn't go on", async () => {
  using server = await fakeServer((response, rows) => {
    response.write(`{"data":[${rows.slice(0, 20_000).join(",")}`);
  });
  const stop = new AbortController();
  let rows = 0;
  const begun = performance.now();
  const walk = async (): Promise<void> => {
    for await (const batch of server.transfer.columns({ ...QUERY, signal: stop.signal })) {
      rows += batch.rows;
      setTimeout(() => stop.abort(), 300);
    }
  };
  await expect(walk()).rejects.toThrow();
  expect(rows).toBeGreaterThan(0);
  // Nothing that comes in pieces is waited for as long as this.
  expect(performance.now() - begun).toBeLessThan(20_000);
});
