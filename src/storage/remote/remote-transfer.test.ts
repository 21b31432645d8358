import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { SaveTicks, TickRow } from "../contract.ts";
import { openRemoteTransfer } from "./remote-transfer.ts";

const ROWS = Array.from({ length: 500 }, (_, i): TickRow => {
  const second = String(Math.floor(i / 20)).padStart(2, "0");
  return [`2024-01-02 10:00:${second}.000000`, i, i % 3 === 0 ? "9007199254740993" : i, null, null, i % 20];
});

interface Params {
  start_datetime?: string;
  data?: { seq: number }[];
}

/** A server whose answers break off after some rows, and that refuses what `refuse` says. */
async function fakeServer(
  rowsPerAnswer: number,
  refuse: () => [status: number, body: object] | null = () => null,
) {
  const asked: (string | undefined)[] = [];
  const saved: number[] = [];
  const server = createServer(async (request, response) => {
    const end = (status: number, body: object): void =>
      void response.writeHead(status).end(JSON.stringify(body));
    if (request.url === "/health") return end(200, {});
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const { command, params } = JSON.parse(body) as { command: string; params: Params };
    if (command === "get_tickers") return end(200, { tickers: [] });
    if (command === "save_realtime_data") {
      const refusal = refuse();
      if (refusal !== null) return end(...refusal);
      saved.push(...params.data!.map(({ seq }) => seq));
      return end(200, { message: "saved" });
    }
    asked.push(params.start_datetime);
    const rows = ROWS.filter(([stamp]) => stamp >= (params.start_datetime ?? "")).map(
      ([stamp, price, size, , , seq]) =>
        `{"timestamp":"${stamp.replace(" ", "T")}Z","ticker":"A","type":"trade","price":${price},"size":${size},"ask_price":null,"ask_size":null,"seq":${seq}}`,
    );
    response.writeHead(200);
    response.write(`{"data":[${rows.slice(0, rowsPerAnswer).join(",")}`, () => {
      if (rows.length > rowsPerAnswer) response.socket?.destroy();
      else response.end("]}");
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    saved,
    address: `127.0.0.1:${port}`,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const range = { ticker: "A", type: "trade", from: null, to: null };

test("an answer that breaks off is asked for again from the last row on, and each row comes once", async () => {
  using server = await fakeServer(70);
  const transfer = await openRemoteTransfer(server.address);
  const rows = (await Array.fromAsync(transfer.ticks(range))).flat();
  expect(rows).toEqual(ROWS.map((row) => [...row]));
  expect(server.asked.length).toBeGreaterThan(ROWS.length / 70);
  expect(server.asked[0]).toBeUndefined();
  transfer.close();
});

test("answers that never get any further end the walk", async () => {
  using server = await fakeServer(20);
  const transfer = await openRemoteTransfer(server.address);
  await expect(Array.fromAsync(transfer.ticks(range))).rejects.toThrow("broke off");
  transfer.close();
});

const save = (type: string): SaveTicks => {
  const rows = Array.from({ length: 6_000 }, (_, seq): TickRow => [ROWS[0]![0], 1, 1, null, null, seq]);
  return { kind: "ticks", ticker: "A", type, rows, onDuplicate: "replace" };
};

test("a save goes in slices; one that is refused fails its save, and one that is to come later waits", async () => {
  const refusals: [number, object][] = [];
  using server = await fakeServer(1_000, () => refusals.pop() ?? null);
  const transfer = await openRemoteTransfer(server.address);
  expect(await transfer.commit([save("a")])).toEqual([{ ok: true, stored: 0, seq: null }]);
  expect(server.saved.toSorted((a, b) => a - b)).toEqual(save("a").rows.map((row) => row[5]!));

  refusals.push([400, { error: "no", details: "never" }]);
  expect(await transfer.commit([save("a")])).toEqual([
    { ok: false, status: 400, error: "no", details: "never" },
  ]);
  const busy: [number, object] = [503, { error: "later" }];
  refusals.push(busy);
  const outcomes = await transfer.commit([save("a"), save("b")]);
  expect(outcomes.filter((outcome) => outcome === null).length).toBe(1);
  refusals.push(busy, busy, busy);
  await expect(transfer.commit([save("a")])).rejects.toThrow("later");
  transfer.close();
});
