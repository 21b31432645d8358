import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { randomNumbers } from "../../../test/support/random.ts";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { TickRow } from "../contract.ts";
import { type StoredTick, TakenSeqs } from "./taken-seqs.ts";
import { SqliteWriter } from "./writer.ts";

const tick = (price: number): StoredTick => ({ price, size: 1, ask_price: null, ask_size: null });

/**
 * The rule as it reads: from the own key on, the first that holds the same and stands for no other
 * record, or that is free.
 */
class Walk {
  readonly prices = new Map<number, number>();
  readonly claimed = new Set<number>();

  place(price: number, firstSeq: number): { seq: number; isStored: boolean } {
    for (let seq = firstSeq; ; seq++) {
      const there = this.prices.get(seq);
      if (there !== undefined && (there !== price || this.claimed.has(seq) || seq === firstSeq)) continue;
      this.prices.set(seq, price);
      this.claimed.add(seq);
      return { seq, isStored: there !== undefined };
    }
  }
}

test("places ticks as a walk through all stored ones would", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomNumbers(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const walk = new Walk();
    for (let seq = 0; seq < 30; seq++) if (below(3) > 0) walk.prices.set(seq, below(4));
    const taken = new TakenSeqs(
      [...walk.prices].map(([seq, price]) => ({ seq, ...tick(price) })),
      () => false,
    );
    for (let record = 0; record < 25; record++) {
      const price = below(4);
      const seq = below(30);
      const there = walk.prices.get(seq);
      if (there === undefined) {
        walk.prices.set(seq, price);
        walk.claimed.add(seq);
        taken.take(seq);
      } else if (there === price && !walk.claimed.has(seq)) {
        walk.claimed.add(seq);
        taken.claim(tick(price), seq);
      } else {
        expect([seed, record, taken.place(tick(price), seq)]).toEqual([seed, record, walk.place(price, seq)]);
      }
    }
  }
});

test("thousands of ticks that share their stamp with thousands of stored ones are saved without a walk for each", () => {
  using dir = tempDir();
  const path = join(dir.path, "test.db");
  const writer = new SqliteWriter(path, "normal", null);
  const save = (prices: number[]) => {
    const rows = prices.map((price): TickRow => ["2024-01-02 00:00:00.000000", price, 1, null, null, null]);
    return writer.commit([{ kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "append" }]);
  };
  const upTo = (count: number, from: number) => Array.from({ length: count }, (_, i) => from + i);
  expect(save(upTo(30_000, 0))).toMatchObject([{ ok: true, stored: 30_000 }]);
  expect(save(upTo(10_000, 100_000))).toMatchObject([{ ok: true, stored: 10_000 }]);
  // Both again, and one that is there already among new ones.
  expect(save(upTo(30_000, 0))).toMatchObject([{ ok: true, stored: 0 }]);
  expect(save(upTo(10_000, 100_000))).toMatchObject([{ ok: true, stored: 0 }]);
  expect(save([500_000, 100_005, 500_001])).toMatchObject([{ ok: true, stored: 2 }]);
  writer.close();
  using db = new Database(path, { readonly: true });
  expect(db.query("SELECT count(*) AS rows, max(seq) AS last FROM realtime_data").get()).toEqual({
    rows: 40_002,
    last: 40_001,
  });
});
