/**
 * Bars of a minute that the server makes of trades, for tickers of which nobody stores such bars.
 * They come from live-bars, as those of any other subscriber do.
 */
import type { BarFrame } from "../live-bars/bar-listener.ts";
import { type BarSpec, readBarsWish } from "../live-bars/bar-spec.ts";
import type { ListeningToBars, LiveBars } from "../live-bars/live-bars.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Turns } from "../websocket/turns.ts";
import { AlpacaTime } from "./alpaca-time.ts";
import { barMembers } from "./market-messages.ts";
import type { ToldRow } from "./told-updates.ts";

const WISH = { partialMs: null, emptyBars: false };
const [MINUTE] = readBarsWish({ bars: ["1Min"] })!.specs as [BarSpec];
/** Tickers whose bars are made. The first one beyond it is told, as no other is begun then. */
const TICKERS_MAX = 20_000;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;

export interface MadeBarsOptions {
  liveBars: Pick<LiveBars, "listen">;
  turns: Turns;
  /** @param isChange the bar was told before, and has changed. */
  tell(ticker: string, isChange: boolean, bar: ToldRow): void;
  /** Bars can't be told, or may have changed. */
  missed(ticker: string, what: string): void;
}

export class MadeBars {
  readonly #options: MadeBarsOptions;
  /** Null: bars of the ticker couldn't begin, and aren't tried again at each trade. */
  readonly #listening = new Map<string, ListeningToBars | null>();
  readonly #waiting = new Set<string>();
  #isWorking = false;

  constructor(options: MadeBarsOptions) {
    this.#options = options;
  }

  /** Tells the bars of the ticker, soon: a client may want those of thousands in one moment. */
  begin(ticker: string): void {
    if (this.#listening.has(ticker)) return;
    this.#waiting.add(ticker);
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    for (const ticker of this.#waiting) {
      const turn = this.#options.turns.take();
      if (turn !== null) await turn;
      if (this.#waiting.delete(ticker)) this.#begin(ticker);
    }
    this.#isWorking = false;
  }

  #begin(ticker: string): void {
    if (this.#listening.size > TICKERS_MAX) return;
    if (this.#listening.size === TICKERS_MAX) {
      this.#failed(ticker, new Error(`there are ${TICKERS_MAX} already, and no more are begun`));
      return;
    }
    try {
      const listening = this.#options.liveBars.listen(ticker, MINUTE, WISH, null, (frame) =>
        this.#take(frame),
      );
      this.#listening.set(ticker, listening);
      listening.begun.catch((error: unknown) => {
        if (this.#listening.get(ticker) === listening) this.#failed(ticker, error);
      });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.#failed(ticker, error);
    }
  }

  end(ticker: string): void {
    this.#waiting.delete(ticker);
    this.#listening.get(ticker)?.leave();
    this.#listening.delete(ticker);
  }

  endAll(): void {
    this.#waiting.clear();
    for (const ticker of [...this.#listening.keys()]) this.end(ticker);
  }

  #failed(ticker: string, error: unknown): void {
    this.end(ticker);
    this.#listening.set(ticker, null);
    this.#options.missed(ticker, `bars of the trades of ${ticker} can't be told: ${messageOf(error)}`);
  }

  #take({ ticker, type, bucket, bar }: BarFrame): void {
    if (type === "bars_gap") {
      this.#options.missed(ticker, `bars of the trades of ${ticker} may have changed and can't be told`);
      return;
    }
    if (bucket === null || bar === null || type === "partial_bars") return;
    const { open, high, low, close, volume, vwap, count, exactVolume } = bar;
    if (Number.isNaN(open)) return;
    const stamp = stampOfMicros(bucket.start);
    const members = barMembers({
      ...{ t: new AlpacaTime(stamp.slice(0, SECOND_LENGTH)), open, high, low, close },
      volume: exactVolume ?? numberOf(volume),
      tradeCount: numberOf(count),
      vwap: numberOf(vwap),
    });
    this.#options.tell(ticker, type === "updated_bars", { stamp, members });
  }
}

function numberOf(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
