import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { SaveTicks, TickRow } from "../contract.ts";
import { openRemoteTransfer } from "./transfer.ts";

interface Params {
  places: number[];
}

/** A server that takes saves, and refuses what `refuse` says. */
async function fakeServer(refuse: () => [status: number, body: object] | null) {
  const saved: number[] = [];
  const server = createServer(async (request, response) => {
    const end = (status: number, body: object): void =>
      void response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    if (request.url === "/health") return end(200, { status: "healthy", database: { db_type: "sqlite" } });
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const { command, params } = JSON.parse(body) as { command: string; params: Params };
    if (command === "get_tickers") return end(200, { tickers: [] });
    const refusal = refuse();
    if (refusal !== null) return end(...refusal);
    saved.push(...params.places);
    return end(200, { message: "Realtime data (trade) for A saved successfully." });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    saved,
    address: `127.0.0.1:${port}`,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const save = (type: string): SaveTicks => {
  const rows = Array.from(
    { length: 6_000 },
    (_, seq): TickRow => ["2024-01-02 10:00:00.000000", 1, 1, null, null, null, null, seq],
  );
  return { kind: "ticks", ticker: "A", part: type, rows, onDuplicate: "replace" };
};

test("a save goes in slices; one that is refused fails its save, and one that is to come later waits", async () => {
  const refusals: [number, object][] = [];
  using server = await fakeServer(() => refusals.pop() ?? null);
  const transfer = await openRemoteTransfer(server.address);
  expect(await transfer.commit([save("a")])).toMatchObject([{ ok: true, stored: 0, position: null }]);
  expect(server.saved.toSorted((a, b) => a - b)).toEqual(save("a").rows.map((row) => row[7]!));

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
