/** `connect()` and what it gives: the questions, saves and streams of one server. */
import { Connection, type ConnectOptions } from "./connection.ts";
import type { SaveBarsParameters, SaveQuotesParameters, SaveTradesParameters } from "./generated/api.ts";
import { type HistoryOptions, type HistoryUpdate, historyThenLive } from "./history-then-live.ts";
import { Questions, type Symbols } from "./questions.ts";
import {
  type SaveAnswer,
  type Saving,
  type SentBar,
  type SentQuote,
  type SentTrade,
  saveRows,
} from "./saves.ts";
import { Stream, type StreamOptions } from "./stream.ts";
import type { Update } from "./updates.ts";
import { Writer, type WriterOptions } from "./writer.ts";

type SentRows<Row> = Iterable<Row> | AsyncIterable<Row>;

/** @param url Such as `http://localhost:8080`. Nothing is sent before the first question. */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client(new Connection(url, options));
}

export class Client extends Questions {
  readonly #server: Connection;

  constructor(server: Connection) {
    super(server);
    this.#server = server;
  }

  /** @throws SaveError Says exactly which rows are stored. */
  saveBars(
    rows: SentRows<SentBar>,
    options: SaveBarsParameters & { timeframe: string } & Saving,
  ): Promise<SaveAnswer> {
    return saveRows(this.#server, "/v1/bars", rows, options);
  }

  /** Give each trade its `id`, where the feed has one: then no repetition is stored twice. */
  saveTrades(rows: SentRows<SentTrade>, options: SaveTradesParameters & Saving = {}): Promise<SaveAnswer> {
    return saveRows(this.#server, "/v1/trades", rows, options);
  }

  saveQuotes(rows: SentRows<SentQuote>, options: SaveQuotesParameters & Saving = {}): Promise<SaveAnswer> {
    return saveRows(this.#server, "/v1/quotes", rows, options);
  }

  /** Collects rows of all tickers for some milliseconds, and saves them together. */
  writer(options: WriterOptions = {}): Writer {
    return new Writer(this.#server, options);
  }

  /** Every update of these tickers once and in order; `*` are all tickers. */
  stream(symbols: Symbols, options: StreamOptions = {}): Stream {
    return new Stream(this.#server, symbols, options);
  }

  /** The stored rows of each ticker, and then its updates from just behind them. */
  historyThenLive(
    symbols: Symbols,
    options: HistoryOptions,
  ): AsyncGenerator<HistoryUpdate | Update, void, undefined> {
    return historyThenLive(this.#server, symbols, options);
  }
}
