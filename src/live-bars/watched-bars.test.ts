import { expect, test } from "bun:test";
import { batchOfRows } from "../../test/support/column-batches.ts";
import { until } from "../../test/support/until.ts";
import { parseTimeframe } from "../calendar/timeframe.ts";
import type { TickRow } from "../storage/contract.ts";
import type { ColumnBatch, ColumnData, ColumnQuery } from "../storage/model/columns.ts";
import { BarClock } from "./bar-clock.ts";
import type { BarFrame } from "./bar-listener.ts";
import { BarReads } from "./bar-reads.ts";
import type { BarSpec } from "./bar-spec.ts";
import { WatchedBars } from "./watched-bars.ts";

const SPEC: BarSpec = {
  ...{ timeframe: parseTimeframe("1s"), source: "trades", calendar: null, session: null, key: "1s" },
};
const BEGIN_MS = Date.parse("2024-01-02T10:00:00Z");
const BEGIN = BEGIN_MS * 1_000;

/** Ticks of a ticker; a read has them as they are when it begins, and ends when it may. */
class Ticks {
  rows: TickRow[] = [];
  position = 0;
  reads = 0;
  readonly #gates: (() => void)[] = [];

  async *columns({ onPositions }: ColumnQuery): AsyncGenerator<ColumnBatch> {
    const { rows, position } = this;
    this.reads++;
    await new Promise<void>((resolve) => this.#gates.push(resolve));
    onPositions?.({ epoch: "e", positions: new Map([["T", position]]) });
    if (rows.length === 0) return;
    const batch = batchOfRows("ticks", rows);
    const codes = new Int32Array(rows.length);
    const ticker: ColumnData = { type: "text", codes, dictionary: ["T"], nulls: null };
    yield { rows: batch.rows, columns: new Map([["ticker", ticker], ...batch.columns]) };
  }

  finishRead(): void {
    this.#gates.shift()!();
  }
}

test.each(["removed", "saved"])(
  "what is %s while a bar is read for the first time changes it afterwards",
  async (what) => {
    const ticks = new Ticks();
    const stop = new AbortController();
    const reads = new BarReads({ signal: stop.signal, warn: (message) => expect(message).toBe("") });
    const clock = new BarClock(SPEC, BEGIN_MS + 1_000);
    const bars = new WatchedBars({
      ...{ ticker: "T", spec: SPEC, clock, reader: ticks },
      place: () => ({ position: ticks.position, epoch: "e" }),
      untilDelivered: async () => {},
      enqueue: (watched, isUrgent) => reads.enqueue(watched, isUrgent),
    });
    const told: BarFrame[] = [];
    bars.begin();
    bars.add({ partialMs: null, emptyBars: false, take: (frame) => void told.push(frame) });
    const tick = (price: number): TickRow => [
      "2024-01-02 10:00:00.500000",
      price,
      1,
      null,
      null,
      null,
      null,
      price,
    ];
    ticks.rows = [tick(1), tick(2)];
    ticks.position = 2;
    bars.touch({ stamps: [BEGIN + 500_000] });
    for (const bucket of clock.advance(BEGIN_MS + 2_000).closed) bars.close(bucket);
    await until(async () => ticks.reads === 1);
    ticks.rows = what === "removed" ? [tick(1)] : [tick(1), tick(2), tick(3)];
    ticks.position = 3;
    bars.touch(what === "removed" ? { from: BEGIN, to: BEGIN + 999_999 } : { stamps: [BEGIN + 500_000] });
    ticks.finishRead();
    await until(async () => ticks.reads === 2);
    ticks.finishRead();
    await until(async () => told.length === 2);
    expect(told.map(({ type, position, bar }) => [type, position, bar!.count])).toEqual([
      ["bars", 2, 2],
      ["updated_bars", 3, what === "removed" ? 1 : 3],
    ]);
    bars.stop();
    stop.abort();
  },
);
