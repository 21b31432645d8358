/**
 * What one subscriber is sent, frame by frame: every way to miss, repeat or reorder has to be
 * noticed.
 */
import { expect, test } from "bun:test";
import { KINDS, type Kind, requestFor } from "./numbered-saves.ts";
import { SeenUpdates } from "./seen-updates.ts";
import { SubscriberCheck } from "./subscriber-check.ts";
import { Violations } from "./violations.ts";

const EPOCH = "e1";

/** An update of `count` records from number `first` on, as the server sends it. */
function update(seq: number, { symbol = "A", kind = "trade" as Kind, first = seq, count = 1 } = {}): string {
  const { data } = requestFor({ ticker: symbol, kind, first, count }).params as {
    data: Record<string, unknown>[];
  };
  const payload = data.map(({ price, size, ...rest }) =>
    kind === "quote" ? { ...rest, bid_price: price, bid_size: size } : { ...rest, price, size },
  );
  return JSON.stringify({
    symbol,
    data: kind === "bar" ? data : { type: kind, timestamp: null, event_type: `${kind}_update`, payload },
    seq,
  });
}

function beat(seq: number, symbol = "A", epoch = EPOCH): string {
  return JSON.stringify({
    symbol,
    data: { type: "heartbeat", timestamp: "2024-01-02T09:30:00.000Z" },
    seq,
    epoch,
  });
}

function beatOfAll(positions: Record<string, number>): string {
  return JSON.stringify({ symbol: "*", data: { type: "heartbeat" }, positions, epoch: EPOCH });
}

function recovered(since: number, to: number, symbol = "A"): string {
  const data = { type: "recovery", recovered: true, from: since + 1, to };
  return JSON.stringify({ symbol, data, seq: since, epoch: EPOCH });
}

interface Options {
  tickers?: string[] | null;
  types?: Kind[];
  seen?: Map<string, SeenUpdates>;
}

class Script {
  readonly violations = new Violations();
  readonly check: SubscriberCheck;
  readonly seen: Map<string, SeenUpdates>;

  constructor({ tickers = ["A"], types, seen = new Map() }: Options = {}) {
    this.seen = seen;
    const seenOf = (ticker: string): SeenUpdates => {
      const known = this.seen.get(ticker) ?? new SeenUpdates();
      this.seen.set(ticker, known);
      return known;
    };
    this.check = new SubscriberCheck({ name: "s", tickers, types: types ?? null }, seenOf, this.violations);
    this.check.connects(false);
  }

  play(...frames: string[]): this {
    for (const frame of frames) this.check.take(frame);
    return this;
  }

  again(): this {
    this.check.connects(true);
    return this;
  }

  get faults(): string[] {
    return this.violations.kept.map(({ fault }) => fault);
  }

  get counts() {
    return this.check.tickers.get("A")!.counts;
  }
}

test("every update once and in order, over several connections, is good", () => {
  const script = new Script()
    .play(beat(4), update(5), update(6, { kind: "bar", first: 6, count: 3 }), beat(6))
    .again()
    .play(recovered(6, 8), update(7, { kind: "quote", first: 9 }), update(8, { first: 10 }), beat(8))
    .again()
    .play(recovered(8, 8), beat(8), update(9, { kind: "depth", first: 11 }));
  expect(script.faults).toEqual([]);
  expect(script.counts).toEqual({ updates: 5, lost: 0, repeated: 0, outOfOrder: 0, recoveries: 2 });
});

test("a subscription without a heartbeat before its first update begins with it", () => {
  expect(new Script().play(update(5), update(6), beat(6)).faults).toEqual([]);
});

test("a loss, within a connection and between two", () => {
  expect(new Script().play(beat(0), update(1), update(3)).faults).toEqual(["position"]);
  expect(new Script().play(beat(0), update(1)).again().play(recovered(2, 2), update(3)).faults).toEqual([
    "protocol",
    "position",
  ]);
});

test("a repetition", () => {
  const script = new Script().play(beat(0), update(1), update(2), update(1));
  expect(script.faults).toEqual(["repeated"]);
  expect(script.counts.repeated).toBe(1);
  expect(new Script().play(beat(0), update(1)).again().play(recovered(1, 1), update(1)).faults).toEqual([
    "repeated",
  ]);
});

test("another order", () => {
  const script = new Script().play(beat(0), update(1), update(3), update(2), update(4));
  expect(script.faults).toEqual(["position", "out of order"]);
  expect(script.counts).toMatchObject({ outOfOrder: 1, repeated: 0, updates: 4 });
});

test("a heartbeat that is behind, or ahead", () => {
  expect(new Script().play(beat(0), update(1), update(2), beat(1)).faults).toEqual(["heartbeat"]);
  expect(new Script().play(beat(0), update(1), beat(2)).faults).toEqual(["heartbeat"]);
});

test("a recovery that fails, one that comes too late, and none", () => {
  const data = { type: "recovery", recovered: false, code: "not_kept", reason: "", snapshot: {} };
  const failed = JSON.stringify({ symbol: "A", data, seq: 9, epoch: EPOCH });
  expect(new Script().play(beat(0), update(1)).again().play(failed, update(10)).faults).toEqual([
    "not recovered",
  ]);
  expect(new Script().play(beat(0), update(1)).again().play(update(2), recovered(1, 2)).faults[0]).toBe(
    "protocol",
  );
  expect(new Script().play(beat(0), update(1)).again().play(beat(1)).faults).toEqual(["protocol"]);
});

test("another epoch", () => {
  expect(new Script().play(beat(0), beat(0, "A", "e2")).faults).toEqual(["epoch"]);
});

test("half a save, and a position that is another update for somebody else", () => {
  const whole = JSON.parse(update(1, { count: 2 }));
  whole.data.payload.pop();
  expect(new Script().play(beat(0), JSON.stringify(whole)).faults).toEqual(["content"]);
  const { seen } = new Script().play(beat(0), update(1, { first: 7 }));
  expect(new Script({ seen }).play(beat(0), update(1, { first: 8 })).faults).toEqual(["content"]);
});

test("with types, what is left out between is no loss; other types are wrong, and so is what a heartbeat has passed", () => {
  const types: Kind[] = ["trade"];
  expect(new Script({ types }).play(beat(0), update(2), update(5), beat(7), update(9)).faults).toEqual([]);
  expect(new Script({ types }).play(beat(0), update(1, { kind: "quote" })).faults).toEqual(["content"]);
  expect(new Script({ types }).play(beat(0), update(2), beat(7), update(6)).faults).toEqual(["out of order"]);
});

test("all tickers: those that nobody knew begin with 1", () => {
  const all = { tickers: null };
  expect(new Script(all).play(beatOfAll({ A: 3 }), update(4), update(1, { symbol: "B" })).faults).toEqual([]);
  expect(new Script(all).play(beatOfAll({ A: 3 }), update(2, { symbol: "B" })).faults).toEqual(["position"]);
  expect(new Script(all).play(beatOfAll({ A: 3 }), update(4), beatOfAll({ A: 4, B: 1 })).faults).toEqual([
    "heartbeat",
  ]);
});

test("all tickers, again: those that nothing was missed of go on without a recovery", () => {
  const script = () => new Script({ tickers: null }).play(beatOfAll({ A: 3, B: 7 }), update(4)).again();
  expect(
    script().play(beatOfAll({ A: 4 }), recovered(7, 8, "B"), update(8, { symbol: "B" }), update(5)).faults,
  ).toEqual([]);
  expect(script().play(beatOfAll({ A: 5 })).faults).toEqual(["heartbeat"]);
  expect(script().play(update(6)).faults).toEqual(["position"]);
  expect(script().play(recovered(5, 5)).faults).toEqual(["protocol"]);
});

test("a ticker that was not asked for, and frames that nobody expects", () => {
  expect(new Script().play(beat(0), update(1, { symbol: "B" })).faults).toEqual(["content"]);
  const gap = { symbol: "A", data: { type: "gap", from: 1, to: 2, reason: "slow" }, seq: 2 };
  expect(new Script().play(beat(0), JSON.stringify(gap)).faults).toEqual(["protocol"]);
});

test("an error is a fault, but for a ticker that can't be had now", () => {
  const error = (code: string) => JSON.stringify({ type: "error", code, error: "" });
  const { check, violations } = new Script().play(beat(0));
  expect(check.take(error("unavailable"))).toBe(false);
  expect(violations.total).toBe(0);
  expect(check.take(error("bad_message"))).toBe(true);
  expect(violations.total).toBe(1);
});

test("sent away as slow with a position that it doesn't have", () => {
  const script = new Script().play(beat(0), update(1));
  script.check.closed(4008, "slow, at 1");
  expect(script.faults).toEqual([]);
  script.check.closed(4008, "slow, at 2");
  expect(script.faults).toEqual(["position"]);
});

test("the evidence holds the frames before and after", () => {
  const { violations } = new Script().play(beat(0), update(1), update(3), update(4), beat(4), update(5));
  const frames = violations.kept[0]!.frames.filter((frame) => frame.startsWith("{"));
  expect(frames).toEqual([beat(0), update(1), update(3), update(4), beat(4)]);
});

test("each kind of save is read back from its frame", () => {
  for (const kind of KINDS)
    expect(new Script().play(beat(0), update(1, { kind, first: 5, count: 4 })).faults).toEqual([]);
});
