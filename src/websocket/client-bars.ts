/** The live bars that one client listens to, by ticker. */
import type { BarFrame } from "../live-bars/bar-listener.ts";
import { type BarSpec, type BarsWish, SPECS_MAX } from "../live-bars/bar-spec.ts";
import type { ListeningToBars, LiveBars } from "../live-bars/live-bars.ts";
import type { BarsSince } from "../live-bars/resume-bars.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { MessageError } from "./live-request.ts";

interface Listened {
  spec: BarSpec;
  listening: ListeningToBars;
}

export interface ClientBarsOptions {
  liveBars: Pick<LiveBars, "listen">;
  take(frame: BarFrame): void;
  /** Bars of the ticker couldn't begin; they have been left. */
  failed(ticker: string, why: string): void;
}

export class ClientBars {
  readonly #options: ClientBarsOptions;
  readonly #byTicker = new Map<string, Map<string, Listened>>();

  constructor(options: ClientBarsOptions) {
    this.#options = options;
  }

  has(ticker: string): boolean {
    return this.#byTicker.has(ticker);
  }

  /** Names of the timeframes. */
  shown(ticker: string): string[] {
    const names = [...(this.#byTicker.get(ticker)?.values() ?? [])].map(({ spec }) => spec.timeframe.name);
    return [...new Set(names)];
  }

  /** @throws MessageError one of the tickers would have too many. */
  check(tickers: readonly string[], { specs }: BarsWish): void {
    for (const ticker of tickers) {
      const before = this.#byTicker.get(ticker);
      const added = specs.filter(({ key }) => before?.has(key) !== true).length;
      const size = (before?.size ?? 0) + added;
      if (size > SPECS_MAX)
        throw new MessageError(
          "bad_message",
          `bars: got ${size} for ${ticker} with those before, expected at most ${SPECS_MAX}`,
        );
    }
  }

  /** What is listened to already begins anew. @param since null: the client is new. */
  add(ticker: string, wish: BarsWish, since: BarsSince | null): void {
    const { liveBars, take } = this.#options;
    const ofTicker = this.#byTicker.get(ticker) ?? new Map<string, Listened>();
    for (const spec of wish.specs) {
      ofTicker.get(spec.key)?.listening.leave();
      ofTicker.delete(spec.key);
      try {
        const listening = liveBars.listen(ticker, spec, wish, since, take);
        ofTicker.set(spec.key, { spec, listening });
        listening.begun.catch((error: unknown) => this.#failed(ticker, spec, listening, error));
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        this.#options.failed(ticker, error.message);
      }
    }
    if (ofTicker.size > 0) this.#byTicker.set(ticker, ofTicker);
    else this.#byTicker.delete(ticker);
  }

  /** @param timeframes their names; null: all. */
  remove(ticker: string, timeframes: readonly string[] | null): void {
    const ofTicker = this.#byTicker.get(ticker);
    if (ofTicker === undefined) return;
    for (const [key, { spec, listening }] of ofTicker) {
      if (timeframes !== null && !timeframes.includes(spec.timeframe.name)) continue;
      listening.leave();
      ofTicker.delete(key);
    }
    if (ofTicker.size === 0) this.#byTicker.delete(ticker);
  }

  leaveAll(): void {
    for (const ticker of [...this.#byTicker.keys()]) this.remove(ticker, null);
  }

  #failed(ticker: string, spec: BarSpec, listening: ListeningToBars, error: unknown): void {
    const ofTicker = this.#byTicker.get(ticker);
    if (ofTicker?.get(spec.key)?.listening !== listening) return;
    listening.leave();
    ofTicker.delete(spec.key);
    if (ofTicker.size === 0) this.#byTicker.delete(ticker);
    this.#options.failed(ticker, `${spec.timeframe.name} bars: ${messageOf(error)}`);
  }
}
