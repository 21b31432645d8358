/** Random saves at one stamp that meet random stored ticks: what holds of each. */
import { expect, test } from "bun:test";
import { randomNumbers } from "../../test/support/random.ts";
import type { SaveTicks, TickRow } from "./contract.ts";
import { countText } from "./count-text.ts";
import { StampTicks, type TickValues } from "./stamp-ticks.ts";
import { placeTicks } from "./tick-placement.ts";

const SAVES = 4_000;
const RULES = ["match", "keep", "append", "request", "replace", "error"] as const;

type Held = [seq: number, values: TickValues];

function apply(held: Held[], rows: TickRow[], onDuplicate: SaveTicks["onDuplicate"]) {
  const ticks = new StampTicks();
  for (const [seq, values] of held) ticks.addStored(seq, { ...values });
  const save: SaveTicks = { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate };
  const { outcome } = placeTicks(save, () => ticks, countText);
  const after = [...ticks.slots].sort(([a], [b]) => a - b);
  return {
    outcome,
    after: after.map(([seq, { isStored: _, change: __, ...values }]): Held => [seq, values]),
  };
}

function randomCase(seed: number) {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const hasPlaces = below(4) === 0;
  const row = (ids: string[], place: number | null): TickRow => {
    const id = below(2) === 0 ? oneOf(ids) : null;
    const extra = below(3) === 0 ? oneOf(['{"x":1}', '{"x":2}']) : null;
    return ["2024-01-02 10:00:00.000000", 1 + below(2), 1, null, null, id, extra, place];
  };
  const onceById = (rows: TickRow[]): TickRow[] =>
    rows.filter(([, , , , , id], index) => id === null || rows.findIndex((each) => each[5] === id) === index);
  const before = onceById(Array.from({ length: below(5) }, () => row(["a", "b", "c"], null))).map(
    ([, price, , , , id, extra], seq): Held => [
      seq,
      { price, size: "1", askPrice: null, askSize: null, id, extra },
    ],
  );
  const sent = Array.from({ length: 1 + below(6) }, () =>
    row(["a", "b", "c", "d", "e"], hasPlaces ? below(5) : null),
  );
  const rows = below(3) === 0 ? sent : onceById(sent);
  return { before, rows, hasPlaces, rule: oneOf(RULES), idsComeOnce: onceById(rows).length === rows.length };
}

const idsOf = (held: Held[]): string[] => held.flatMap(([, { id }]) => (id === null ? [] : [id]));

test.each(Array.from({ length: SAVES / 1_000 }, (_, n) => n))("a thousand saves (%d)", (thousand) => {
  for (let seed = thousand * 1_000; seed < (thousand + 1) * 1_000; seed++) {
    const { before, rows, rule, hasPlaces, idsComeOnce } = randomCase(seed);
    const { outcome, after } = apply(before, rows, rule);
    const is = (what: string) => ({ seed, rule, what });
    if (!outcome.ok) {
      expect([is("refused"), rule, after]).toEqual([is("refused"), "error", before]);
      continue;
    }
    const { stored, replaced = 0, repeated = 0, skipped = 0 } = outcome;
    expect([is("counted"), stored + replaced + repeated + skipped]).toEqual([is("counted"), rows.length]);
    expect([is("stored"), after.length - before.length]).toEqual([is("stored"), stored]);
    expect([is("ids"), new Set(idsOf(after)).size]).toEqual([is("ids"), idsOf(after).length]);
    const sentIds = new Set(rows.flatMap(([, , , , , id]) => (id === null ? [] : [id])));
    for (const [seq, { price, id, extra }] of rule === "replace" ? [] : before) {
      const now = after.find(([each]) => each === seq)![1];
      expect([is("id stays"), id ?? now.id]).toEqual([is("id stays"), now.id]);
      if (now.id !== null && sentIds.has(now.id) && rule !== "keep" && rule !== "append") continue;
      expect([is("stays"), now.price, extra ?? now.extra]).toEqual([is("stays"), price, now.extra]);
    }
    if (hasPlaces || !idsComeOnce) continue;
    // Each record has become, or is, a tick of its own.
    for (const price of rule === "keep" || rule === "append" ? [] : [1, 2]) {
      const sent = rows.filter((row) => row[1] === price).length;
      const there = after.filter(([, values]) => values.price === price).length;
      expect([is("each is there"), there >= sent]).toEqual([is("each is there"), true]);
    }
    if (rule === "append" || rule === "request" || rule === "error") continue;
    const again = apply(after, rows, rule);
    expect([is("again"), again.after.length]).toEqual([is("again"), after.length]);
    if (rule !== "replace") expect([is("again"), again.after]).toEqual([is("again"), after]);
  }
});
