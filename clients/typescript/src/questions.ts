/** The questions of `/v1`, as methods. */
import type { Connection } from "./connection.ts";
import { parseExact, stringifyExact } from "./exact-json.ts";
import type {
  AsofParameters,
  Bar,
  BarsParameters,
  CorporateAction,
  CorporateActionsParameters,
  LatestParameters,
  OptionChainParameters,
  OptionSnapshot,
  Quote,
  QuotesParameters,
  SnapshotsParameters,
  TickersParameters,
  Trade,
  TradesParameters,
} from "./generated/api.ts";
import { type Asking, parametersOf, Question } from "./question.ts";
import { type Snapshot, shapeSnapshot } from "./snapshots.ts";

/** Tickers, or patterns such as `A*`; `*` are all. */
export type Symbols = string | readonly string[];

/** A row of `asof`: the columns of the left, and those of the right with a prefix. */
export type Joined = { symbol: string; timestamp: string } & Record<string, unknown>;

/** A row of bars with what `columns` and `indicators` have named. */
export type BarRow = Bar & {
  [figure: `${string}_${string}`]: unknown;
  end?: string;
  first?: string;
  last?: string;
};

export interface TickerRow {
  symbol: string;
  /** Of its rows: `daily`, `hourly`, `interval`, `ticks`, `options`, `financial`, `actions`. */
  kinds: string[];
  /** With `series`: each with its first and last stamp. */
  series?: { kind: string; series: string; first: string | null; last: string | null }[];
}

/** What can be asked. A bundle that has no more of this client is a third of it. */
export class Questions {
  readonly #server: Connection;

  constructor(server: Connection) {
    this.#server = server;
  }

  /** Bars, oldest first within each ticker; stored ones, or made of smaller ones or of ticks. */
  bars(symbols: Symbols, options: BarsParameters & Asking): Question<BarRow> {
    return this.#question("/v1/bars", symbols, options, { hasPages: options.layout !== "wide" });
  }

  trades(symbols: Symbols, options: TradesParameters & Asking = {}): Question<Trade> {
    return this.#question("/v1/trades", symbols, options);
  }

  quotes(symbols: Symbols, options: QuotesParameters & Asking = {}): Question<Quote> {
    return this.#question("/v1/quotes", symbols, options);
  }

  /** Rows of one table, each with the newest row of another by then. */
  asof(symbols: Symbols, options: AsofParameters & Asking): Question<Joined> {
    return this.#question("/v1/asof", symbols, options);
  }

  /** The newest trade of each ticker, or with `of` its newest quote or bar. */
  latest(symbols: Symbols, options: LatestParameters & { of: "quotes" } & Asking): Question<Quote>;
  latest(symbols: Symbols, options: LatestParameters & { of: "bars" } & Asking): Question<Bar>;
  latest(symbols: Symbols, options?: LatestParameters & { of?: "trades" } & Asking): Question<Trade>;
  latest(symbols: Symbols, options: LatestParameters & Asking = {}): Question<Trade | Quote | Bar> {
    return this.#question("/v1/latest", symbols, options, { hasPages: false });
  }

  /** Newest trade and quote, minute bar, daily bar and the one before it, of each ticker. */
  snapshots(symbols: Symbols, options: SnapshotsParameters & Asking = {}): Question<Snapshot> {
    return this.#question("/v1/snapshots", symbols, options, { hasPages: false, shape: shapeSnapshot });
  }

  /** The newest snapshot of each contract that hasn't expired. */
  optionChain(underlying: string, options: OptionChainParameters & Asking = {}): Question<OptionSnapshot> {
    return this.#question("/v1/options", null, { ...options, underlying }, { hasPages: false });
  }

  corporateActions(
    symbols: Symbols,
    options: CorporateActionsParameters & Asking = {},
  ): Question<CorporateAction> {
    return this.#question("/v1/corporate-actions", symbols, options);
  }

  /** Which tickers there are, and the kinds of their rows. */
  async tickers(symbols: Symbols = "*", options: TickersParameters & Asking = {}): Promise<TickerRow[]> {
    const { parameters, signal } = parametersOf(symbols, options);
    const found: TickerRow[] = [];
    for (let token: string | null = null; ; ) {
      const body = stringifyExact({ ...parameters, ...(token === null ? {} : { page_token: token }) });
      const answer = await this.#post("/v1/tickers", body, signal);
      const { tickers, next_page_token, warnings } = answer as {
        tickers: TickerRow[];
        next_page_token: string | null;
        warnings?: string[];
      };
      this.#server.warn(warnings ?? []);
      found.push(...tickers);
      token = next_page_token;
      if (token === null || options.limit !== undefined) return found;
    }
  }

  /**
   * The rows of one statement that reads. Whole numbers are exact: beyond 2^53 they are `bigint`.
   * @param params Of `?`, in order.
   */
  async sql<Row = Record<string, unknown>>(
    sql: string,
    params: readonly unknown[] = [],
    { signal }: Asking = {},
  ): Promise<Row[]> {
    const answer = await this.#post("/v1/sql", stringifyExact({ sql, params }), signal);
    return (answer as { data: Row[] }).data;
  }

  #question<Row>(
    path: string,
    symbols: Symbols | null,
    options: object,
    about: { hasPages?: boolean; shape?: (row: Record<string, unknown>) => Row } = {},
  ): Question<Row> {
    return new Question({
      server: this.#server,
      path,
      hasPages: true,
      ...parametersOf(symbols, options),
      ...about,
    });
  }

  #post(path: string, body: string, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#server.ask(
      { path, body, signal, headers: { "content-type": "application/json" } },
      async (answer) => parseExact(await answer.text()),
    );
  }
}
