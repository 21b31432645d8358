/**
 * Knows of each ticker how far a program has seen its updates: what is new, what came twice, what
 * is missing, and where the next connection goes on.
 */
import { StreamError } from "./errors.ts";
import type { Moment } from "./generated/api.ts";
import { ToldBars } from "./told-bars.ts";
import { asUpdate, type Frame, type Gap, type Update } from "./updates.ts";

/** Where a subscription begins. */
export interface Place {
  since: Record<string, number | string> | string | null;
  epoch: string | null;
}

/** What is kept from one run of a program to the next. */
export interface Kept {
  epoch: string | null;
  positions: Record<string, number>;
  /** Tickers that begin anew, with the reason of the gap that has to be told. */
  anew?: Record<string, string>;
  bars?: Record<string, string[]>;
}

export interface Wish {
  /** All updates are asked for, so that their numbers have no holes. */
  isWhole: boolean;
  isOfAll: boolean;
  wantsSnapshots: boolean;
  /** Where tickers without a position begin. */
  since: Moment | Readonly<Record<string, Moment>> | null;
}

/** Updates were left out on the way: come back, with the positions. */
class Missed extends Error {}

const BARS: ReadonlySet<string> = new Set(["bars", "updated_bars", "partial_bars", "bars_gap"]);

export class Tracker {
  epoch: string | null;
  /** Of what the program has seen. */
  readonly positions: Map<string, number>;
  readonly bars: ToldBars;
  /** Updates that came again and were left aside. */
  repeated = 0;
  readonly #wish: Wish;
  readonly #anew: Map<string, string>;
  /** A snapshot follows their gap. */
  readonly #awaited = new Set<string>();
  /** Of all tickers: the first positions are known. */
  #hasBegun: boolean;

  constructor(kept: Kept | null, wish: Wish) {
    this.epoch = kept?.epoch ?? null;
    this.positions = new Map(Object.entries(kept?.positions ?? {}));
    this.#anew = new Map(Object.entries(kept?.anew ?? {}));
    this.bars = new ToldBars(kept?.bars ?? {});
    this.#wish = wish;
    this.#hasBegun = this.positions.size > 0;
  }

  kept(): Kept {
    return {
      epoch: this.epoch,
      positions: Object.fromEntries(this.positions),
      anew: Object.fromEntries(this.#anew),
      bars: this.bars.kept(),
    };
  }

  /** @param tickers null: all. */
  place(tickers: readonly string[] | null): Place {
    const { since } = this.#wish;
    const isOfTickers = since !== null && typeof since === "object" && !(since instanceof Date);
    if (tickers === null) {
      if (this.#hasBegun) return { since: Object.fromEntries(this.positions), epoch: this.epoch };
      return { since: isOfTickers ? textsOf(since) : textOf(since), epoch: this.epoch };
    }
    const places = tickers.flatMap((ticker): [string, number | string][] => {
      if (this.#anew.has(ticker)) return [];
      const position = this.positions.get(ticker);
      if (position !== undefined) return [[ticker, position]];
      const first = isOfTickers ? since[ticker] : since;
      return first === undefined || first === null ? [] : [[ticker, textOf(first)!]];
    });
    return places.length === 0
      ? { since: null, epoch: null }
      : { since: Object.fromEntries(places), epoch: this.epoch };
  }

  /**
   * What a frame tells the program; null: nothing.
   * @throws Missed
   */
  take(frame: Frame): Update | null {
    const { type, ticker = "", position, epoch } = frame;
    if (type === "subscription") return this.#begin(epoch);
    if (type === "heartbeat") return this.#beat(frame);
    if (type === "error") throw new StreamError(String(frame.code), String(frame.error));
    if (type === "feed_stale" || type === "feed_alive") return frame as unknown as Update;
    if (ticker === "" || position === undefined) return null;
    if (BARS.has(type)) return this.bars.news(frame) as unknown as Update | null;
    if (type === "snapshot") return this.#snapshot(frame, position);
    if (type === "recovery")
      return frame.recovered === true ? this.#recover(frame) : this.#lost(frame, position);
    if (type === "gap") return this.#gap(frame);
    return this.#update(frame, ticker, position);
  }

  /** The program has seen it, as it asks for the next one. */
  seen(update: Update): void {
    if (!("position" in update) && update.type !== "gap") return;
    const { ticker, epoch } = update as { ticker: string; epoch: string };
    if (BARS.has(update.type)) {
      this.bars.told(update as unknown as Frame);
      // With updates beside them they are of a position that is known.
      if (this.#wish.isWhole) return;
    }
    const position = update.type === "gap" ? update.to : (update as { position: number }).position;
    if (update.type === "gap") this.#anew.delete(ticker);
    this.#reach(ticker, position, update.type === "gap");
    this.epoch = epoch;
  }

  #begin(epoch: string | undefined): null {
    this.epoch ??= epoch ?? null;
    return null;
  }

  #beat({ positions = {}, epoch }: Frame): null {
    this.epoch ??= epoch ?? null;
    for (const [ticker, position] of Object.entries(positions)) {
      const seen = this.positions.get(ticker) ?? (this.#hasBegun && this.#wish.isOfAll ? 0 : undefined);
      if (this.#wish.isWhole && seen !== undefined && position > seen)
        throw new Missed(`${ticker}: the server is at ${position}, the stream at ${seen}`);
      this.#reach(ticker, position, false);
    }
    this.#hasBegun = true;
    return null;
  }

  /** Where a time was asked for, this tells the position of it. */
  #recover({ ticker, from }: Frame): null {
    if (!this.positions.has(ticker!)) this.#reach(ticker!, (from as number) - 1, false);
    return null;
  }

  #snapshot(frame: Frame, position: number): Update | null {
    const ticker = frame.ticker!;
    const seen = this.positions.get(ticker);
    const reason = this.#anew.get(ticker);
    if (reason !== undefined && seen === position) {
      this.#anew.delete(ticker);
      return frame as unknown as Update;
    }
    if (reason !== undefined)
      return gapOf(frame, {
        from: seen === undefined ? null : seen + 1,
        to: position,
        reason,
        snapshot: frame,
      });
    if (seen !== undefined) {
      // After a gap it follows the updates before it. Else it would hide some.
      if (this.#wish.isWhole && position > seen)
        throw new Missed(`${ticker}: a snapshot of ${position} after ${seen}`);
      this.#awaited.delete(ticker);
      return frame as unknown as Update;
    }
    if (this.#wish.wantsSnapshots) return frame as unknown as Update;
    this.#reach(ticker, position, false);
    this.epoch = frame.epoch ?? this.epoch;
    return null;
  }

  #lost(frame: Frame, position: number): Update {
    const ticker = frame.ticker!;
    const seen = this.positions.get(ticker);
    const isOther = frame.code === "epoch_changed";
    if (isOther && this.epoch !== frame.epoch) this.#changeEpoch(frame.epoch!, ticker);
    const from = isOther || frame.code === "position_ahead" || seen === undefined ? null : seen + 1;
    return gapOf(frame, {
      ...{ from, to: position, reason: String(frame.code) },
      snapshot: (frame.snapshot ?? null) as Frame | null,
    });
  }

  /** Positions of before mean nothing; each ticker has its own gap. */
  #changeEpoch(epoch: string, but: string): void {
    for (const ticker of this.positions.keys()) if (ticker !== but) this.#anew.set(ticker, "epoch_changed");
    for (const ticker of this.#anew.keys()) this.positions.delete(ticker);
    this.positions.delete(but);
    this.epoch = epoch;
  }

  #gap(frame: Frame): Update | null {
    const { ticker, from, to, reason } = frame as unknown as Omit<Gap, "from"> & { from: number };
    const seen = this.positions.get(ticker);
    if (seen !== undefined && to <= seen) return null;
    // What fell out of the log is in a snapshot that follows, unless the connection ends before.
    if (reason === "not_kept") this.#awaited.add(ticker);
    return gapOf(frame, {
      from: seen === undefined ? from : Math.max(from, seen + 1),
      to,
      reason,
      snapshot: null,
    });
  }

  /** A connection has ended: snapshots that were still to come don't. */
  ended(): void {
    for (const ticker of this.#awaited) this.#anew.set(ticker, "not_kept");
    this.#awaited.clear();
  }

  #update(frame: Frame, ticker: string, position: number): Update | null {
    const { isWhole, isOfAll } = this.#wish;
    const seen = this.positions.get(ticker) ?? (isOfAll && this.#hasBegun ? 0 : undefined);
    if (seen !== undefined && position <= seen) {
      this.repeated++;
      return null;
    }
    const isNext = seen === undefined || position === seen + 1 || !isWhole || frame.conflated !== undefined;
    if (!isNext) throw new Missed(`${ticker}: update ${position} came after ${seen}`);
    return asUpdate(frame);
  }

  #reach(ticker: string, position: number, mayGoBack: boolean): void {
    const seen = this.positions.get(ticker);
    if (seen === undefined || position > seen || mayGoBack) this.positions.set(ticker, position);
  }
}

function gapOf(frame: Frame, about: Pick<Gap, "from" | "to" | "reason"> & { snapshot: Frame | null }): Gap {
  const { snapshot } = about;
  const content = snapshot as unknown as Gap["snapshot"];
  return {
    ...{ type: "gap", ticker: frame.ticker!, epoch: frame.epoch!, ...about },
    snapshot: content === null ? null : { quote: content.quote, trade: content.trade, bars: content.bars },
  };
}

function textsOf(since: object): Record<string, number | string> {
  return Object.fromEntries(Object.entries(since).map(([ticker, moment]) => [ticker, textOf(moment)!]));
}

function textOf(moment: unknown): string | null {
  if (moment === null) return null;
  return moment instanceof Date ? moment.toISOString() : String(moment);
}
