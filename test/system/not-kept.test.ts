/**
 * Rows that another program copies into the database of a running server: who watches is told of
 * the gap, and gets a snapshot.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { usePostgres } from "../support/postgres.ts";
import { command, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { type Frame, Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

const copied = (ticker: string, price: number): SaveTicks => ({
  kind: "ticks",
  ticker,
  part: "trade",
  rows: [[`2024-01-03 10:00:00.00000${price}`, price, 1, null, null, null, null, 0]],
  onDuplicate: "replace",
});

/** All but heartbeats and what tells of the subscription itself, from the first gap on. */
function fromGap(subscriber: Subscriber, ticker = "A"): string[] {
  const told = subscriber.frames.filter(
    ({ symbol, data }) => symbol === ticker && data !== undefined && data.type !== "heartbeat",
  );
  return told.slice(told.findIndex(({ data }) => data.type === "gap")).map(shown);
}

const shown = ({ seq, data }: Frame): string =>
  data.type === "gap"
    ? `gap ${data.from}-${data.to} ${data.reason}`
    : `${data.type} ${seq} ${data.type === "snapshot" ? data.trade.price : data.payload[0].price}`;

test("a copy into the database of a running server", async () => {
  const dbFile = await postgres.freshSchema();
  await using server = await startServer({ dbFile, workers: 2 });
  await using front = await startServer({ dbFile: `127.0.0.1:${server.port}`, workers: 1 });
  for (const price of [1, 2, 3]) await saveTrade(server.url, "A", price);
  await using one = await Subscriber.open(server.wsUrl, "A");
  await using quotes = Subscriber.ask(server.wsUrl, { symbols: "A", types: "quote" });
  await using all = Subscriber.ask(server.wsUrl, { symbols: "*" });
  await using farOne = await Subscriber.open(front.wsUrl, "A");
  const watchers = [one, quotes, all, farOne];
  await waitUntil("all are subscribed", () => watchers.every(({ heartbeats }) => heartbeats.length > 0));

  const target = await openTarget({ dbFile, durability: "normal" });
  await target.writer.commit([copied("A", 4), copied("NEW", 5)]);
  await target.close();
  await waitUntil("all have the snapshot", () =>
    watchers.every((watcher) => fromGap(watcher).some((told) => told.startsWith("snapshot"))),
  );
  await saveTrade(server.url, "A", 6);
  await waitUntil("the next update", () => [one, all, farOne].every((watcher) => watcher.seqs.includes(5)));
  await waitUntil("the new ticker's snapshot", () => fromGap(all, "NEW").length > 1);
  const expected = ["gap 4-4 not_kept", "snapshot 4 4", "trade 5 6"];
  for (const watcher of [one, all, farOne]) expect(fromGap(watcher)).toEqual(expected);
  expect(fromGap(quotes)).toEqual(expected.slice(0, 2));
  expect(fromGap(all, "NEW")).toEqual(["gap 1-1 not_kept", "snapshot 1 5"]);

  // Of the ticks, the one of the copy has the newest stamp.
  for (const since of ["1", "2001-01-01"]) {
    await using back = Subscriber.ask(server.wsUrl, { symbol: "A", since });
    const first = await waitUntil("the first frame", () => back.frames[0]);
    expect(first).toMatchObject({
      seq: 5,
      data: { recovered: false, code: "not_kept", snapshot: { trade: { price: 4 } } },
    });
  }
  const { body } = await command(server.url, "get_updates", { ticker: "A", since: 1 });
  expect(body).toMatchObject({ recovered: false, code: "not_kept", gap: { from: 4, to: 4 } });
  expect(body.updates.map(({ seq }: Frame) => seq)).toEqual([2, 3]);
});
