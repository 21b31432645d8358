/**
 * Checks everything that one subscriber is sent, over all of its connections. Knows nothing of
 * sockets.
 */
import { type Frame, readFrame } from "./frames.ts";
import type { Kind } from "./numbered-saves.ts";
import type { SeenUpdates } from "./seen-updates.ts";
import { TickerCheck } from "./ticker-check.ts";
import { FRAMES_AFTER, FRAMES_BEFORE, type Violation, type Violations } from "./violations.ts";

export interface SubscriberInterest {
  name: string;
  /** Null: all, as "*". */
  tickers: readonly string[] | null;
  /** Null: all. */
  types: readonly Kind[] | null;
}

export class SubscriberCheck {
  readonly tickers = new Map<string, TickerCheck>();
  readonly interest: SubscriberInterest;
  epoch: string | null = null;
  readonly #seenOf: (ticker: string) => SeenUpdates;
  readonly #violations: Violations;
  readonly #recent: string[] = [];
  #open: { violation: Violation; framesToCome: number }[] = [];
  /** All positions that a subscription to all tickers begins with have come. */
  #knowsAll = false;

  constructor(interest: SubscriberInterest, seenOf: (ticker: string) => SeenUpdates, violations: Violations) {
    this.interest = interest;
    this.#seenOf = seenOf;
    this.#violations = violations;
    for (const ticker of interest.tickers ?? []) this.#add(ticker);
  }

  /** A new connection. @param resumes it says how far it is; without, it begins with what comes. */
  connects(resumes: boolean): void {
    this.#note(resumes ? "— connects again, with its positions —" : "— connects —");
    // With all tickers, only those that something was missed of have a recovery.
    const isAnswered = resumes && this.interest.tickers !== null;
    for (const [ticker, { base, last }] of this.tickers)
      this.asks(ticker, isAnswered && base !== null ? last : null);
  }

  /** @param since as in TickerCheck. */
  asks(ticker: string, since: number | null): void {
    this.tickers.get(ticker)!.asks(since);
  }

  /**
   * @param json the text, read as JSON.
   * @returns false if the server can't give all that was asked for now: it should be asked again.
   */
  take(text: string, json: unknown = JSON.parse(text)): boolean {
    this.#note(text);
    const frame = readFrame(json);
    if ("epoch" in frame) this.#checkEpoch(frame.epoch);
    if (frame.kind === "positions") this.#takePositions(frame.positions);
    else if (frame.kind === "last-positions") this.#checkLast(frame.positions);
    else if (frame.kind === "other")
      this.#complain("", "protocol", `an unexpected frame: ${text.slice(0, 200)}`);
    else if (frame.kind !== "subscription" && frame.kind !== "unavailable") this.#takeOfTicker(frame);
    return frame.kind !== "unavailable";
  }

  /**
   * The connection was closed; the reason of 4008 ends with the position that its client should
   * have.
   */
  closed(code: number, reason: string): void {
    this.#note(`— closed with ${code} ${reason} —`);
    const [only, second] = this.tickers.keys();
    const position = /(\d+)$/.exec(reason)?.[1];
    if (code === 4008 && only !== undefined && second === undefined && position !== undefined)
      this.#checkLast({ [only]: Number(position) });
  }

  /** As they came, the newest last. */
  recentFrames(): string[] {
    return [...this.#recent];
  }

  #takeOfTicker(frame: Extract<Frame, { symbol: string }>): void {
    const isWanted = this.interest.tickers === null || this.interest.tickers.includes(frame.symbol);
    if (!isWanted) {
      this.#complain(frame.symbol, "content", "a frame of a ticker that was not asked for");
      return;
    }
    // A ticker that turns up after the positions of all had come: its first update has to be its
    // first.
    const isNew = !this.tickers.has(frame.symbol);
    const check = this.tickers.get(frame.symbol) ?? this.#add(frame.symbol);
    if (isNew && this.#knowsAll) check.begin(0);
    check.take(frame);
  }

  #takePositions(positions: Record<string, number>): void {
    for (const [ticker, seq] of Object.entries(positions)) {
      const isNew = !this.tickers.has(ticker);
      const check = this.tickers.get(ticker) ?? this.#add(ticker);
      if (isNew && this.#knowsAll) check.begin(0);
      check.beat(seq);
    }
    this.#knowsAll = true;
  }

  #checkLast(positions: Record<string, number>): void {
    for (const [ticker, seq] of Object.entries(positions)) {
      const last = this.tickers.get(ticker)?.last ?? 0;
      if (seq > last)
        this.#complain(ticker, "position", `was sent away with position ${seq}, but has had only ${last}`);
    }
  }

  #checkEpoch(epoch: string): void {
    this.epoch ??= epoch;
    if (epoch !== this.epoch) this.#complain("", "epoch", `epoch ${epoch} instead of ${this.epoch}`);
  }

  #add(ticker: string): TickerCheck {
    const { types } = this.interest;
    const check = new TickerCheck(
      types === null ? null : new Set(types),
      this.#seenOf(ticker),
      (fault, what, count) => this.#complain(ticker, fault, what, count),
    );
    this.tickers.set(ticker, check);
    return check;
  }

  #complain(ticker: string, fault: Violation["fault"], what: string, count = 1): void {
    const violation = { fault, who: this.interest.name, ticker, what, frames: this.recentFrames() };
    this.#violations.add(violation, count);
    this.#open.push({ violation, framesToCome: FRAMES_AFTER });
  }

  #note(text: string): void {
    this.#recent.push(text);
    if (this.#recent.length > FRAMES_BEFORE + 1) this.#recent.shift();
    if (this.#open.length === 0) return;
    for (const open of this.#open) {
      open.violation.frames.push(text);
      open.framesToCome--;
    }
    this.#open = this.#open.filter(({ framesToCome }) => framesToCome > 0);
  }
}
