/**
 * Knows of each ticker how far a program has seen its updates: what is new, what came twice, what
 * is missing, and where the next connection goes on.
 */
import { StreamError } from "./errors.js";
import { ToldBars } from "./told-bars.js";
import { asUpdate } from "./updates.js";
/** Updates were left out on the way: come back, with the positions. */
class Missed extends Error {
}
const BARS = new Set(["bars", "updated_bars", "partial_bars", "bars_gap"]);
export class Tracker {
    epoch;
    /** Of what the program has seen. */
    positions;
    bars;
    /** Updates that came again and were left aside. */
    repeated = 0;
    #wish;
    #anew;
    /** A snapshot follows their gap. */
    #awaited = new Set();
    /** Of all tickers: the first positions are known. */
    #hasBegun;
    constructor(kept, wish) {
        this.epoch = kept?.epoch ?? null;
        this.positions = new Map(Object.entries(kept?.positions ?? {}));
        this.#anew = new Map(Object.entries(kept?.anew ?? {}));
        this.bars = new ToldBars(kept?.bars ?? {});
        this.#wish = wish;
        this.#hasBegun = this.positions.size > 0;
    }
    kept() {
        return {
            epoch: this.epoch,
            positions: Object.fromEntries(this.positions),
            anew: Object.fromEntries(this.#anew),
            bars: this.bars.kept(),
        };
    }
    /** @param tickers null: all. */
    place(tickers) {
        const { since } = this.#wish;
        const isOfTickers = since !== null && typeof since === "object" && !(since instanceof Date);
        if (tickers === null) {
            if (this.#hasBegun)
                return { since: Object.fromEntries(this.positions), epoch: this.epoch };
            return { since: isOfTickers ? textsOf(since) : textOf(since), epoch: this.epoch };
        }
        const places = tickers.flatMap((ticker) => {
            if (this.#anew.has(ticker))
                return [];
            const position = this.positions.get(ticker);
            if (position !== undefined)
                return [[ticker, position]];
            const first = isOfTickers ? since[ticker] : since;
            return first === undefined || first === null ? [] : [[ticker, textOf(first)]];
        });
        return places.length === 0
            ? { since: null, epoch: null }
            : { since: Object.fromEntries(places), epoch: this.epoch };
    }
    /**
     * What a frame tells the program; null: nothing.
     * @throws Missed
     */
    take(frame) {
        const { type, ticker = "", position, epoch } = frame;
        if (type === "subscription")
            return this.#begin(epoch);
        if (type === "heartbeat")
            return this.#beat(frame);
        if (type === "error")
            throw new StreamError(String(frame.code), String(frame.error));
        if (type === "feed_stale" || type === "feed_alive")
            return frame;
        if (ticker === "" || position === undefined)
            return null;
        if (BARS.has(type))
            return this.bars.news(frame);
        if (type === "snapshot")
            return this.#snapshot(frame, position);
        if (type === "recovery")
            return frame.recovered === true ? this.#recover(frame) : this.#lost(frame, position);
        if (type === "gap")
            return this.#gap(frame);
        return this.#update(frame, ticker, position);
    }
    /** The program has seen it, as it asks for the next one. */
    seen(update) {
        if (!("position" in update) && update.type !== "gap")
            return;
        const { ticker, epoch } = update;
        if (BARS.has(update.type)) {
            this.bars.told(update);
            // With updates beside them they are of a position that is known.
            if (this.#wish.isWhole)
                return;
        }
        const position = update.type === "gap" ? update.to : update.position;
        if (update.type === "gap")
            this.#anew.delete(ticker);
        this.#reach(ticker, position, update.type === "gap");
        this.epoch = epoch;
    }
    #begin(epoch) {
        this.epoch ??= epoch ?? null;
        return null;
    }
    #beat({ positions = {}, epoch }) {
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
    #recover({ ticker, from }) {
        if (!this.positions.has(ticker))
            this.#reach(ticker, from - 1, false);
        return null;
    }
    #snapshot(frame, position) {
        const ticker = frame.ticker;
        const seen = this.positions.get(ticker);
        const reason = this.#anew.get(ticker);
        if (reason !== undefined && seen === position) {
            this.#anew.delete(ticker);
            return frame;
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
            return frame;
        }
        if (this.#wish.wantsSnapshots)
            return frame;
        this.#reach(ticker, position, false);
        this.epoch = frame.epoch ?? this.epoch;
        return null;
    }
    #lost(frame, position) {
        const ticker = frame.ticker;
        const seen = this.positions.get(ticker);
        const isOther = frame.code === "epoch_changed";
        if (isOther && this.epoch !== frame.epoch)
            this.#changeEpoch(frame.epoch, ticker);
        const from = isOther || frame.code === "position_ahead" || seen === undefined ? null : seen + 1;
        return gapOf(frame, {
            ...{ from, to: position, reason: String(frame.code) },
            snapshot: (frame.snapshot ?? null),
        });
    }
    /** Positions of before mean nothing; each ticker has its own gap. */
    #changeEpoch(epoch, but) {
        for (const ticker of this.positions.keys())
            if (ticker !== but)
                this.#anew.set(ticker, "epoch_changed");
        for (const ticker of this.#anew.keys())
            this.positions.delete(ticker);
        this.positions.delete(but);
        this.epoch = epoch;
    }
    #gap(frame) {
        const { ticker, from, to, reason } = frame;
        const seen = this.positions.get(ticker);
        if (seen !== undefined && to <= seen)
            return null;
        // What fell out of the log is in a snapshot that follows, unless the connection ends before.
        if (reason === "not_kept")
            this.#awaited.add(ticker);
        return gapOf(frame, {
            from: seen === undefined ? from : Math.max(from, seen + 1),
            to,
            reason,
            snapshot: null,
        });
    }
    /** A connection has ended: snapshots that were still to come don't. */
    ended() {
        for (const ticker of this.#awaited)
            this.#anew.set(ticker, "not_kept");
        this.#awaited.clear();
    }
    #update(frame, ticker, position) {
        const { isWhole, isOfAll } = this.#wish;
        const seen = this.positions.get(ticker) ?? (isOfAll && this.#hasBegun ? 0 : undefined);
        if (seen !== undefined && position <= seen) {
            this.repeated++;
            return null;
        }
        const isNext = seen === undefined || position === seen + 1 || !isWhole || frame.conflated !== undefined;
        if (!isNext)
            throw new Missed(`${ticker}: update ${position} came after ${seen}`);
        return asUpdate(frame);
    }
    #reach(ticker, position, mayGoBack) {
        const seen = this.positions.get(ticker);
        if (seen === undefined || position > seen || mayGoBack)
            this.positions.set(ticker, position);
    }
}
function gapOf(frame, about) {
    const { snapshot } = about;
    const content = snapshot;
    return {
        ...{ type: "gap", ticker: frame.ticker, epoch: frame.epoch, ...about },
        snapshot: content === null ? null : { quote: content.quote, trade: content.trade, bars: content.bars },
    };
}
function textsOf(since) {
    return Object.fromEntries(Object.entries(since).map(([ticker, moment]) => [ticker, textOf(moment)]));
}
function textOf(moment) {
    if (moment === null)
        return null;
    return moment instanceof Date ? moment.toISOString() : String(moment);
}
