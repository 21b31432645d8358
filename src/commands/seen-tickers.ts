/**
 * What a key with patterns of tickers may do: read, save and edit those tickers alone. It binds at
 * the reader and the writer that all commands and doors use, so that none can forget it.
 */
import type { Caller } from "../access/key-ring.ts";
import { forbidden } from "../protocol/errors.ts";
import type { StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { CheckTickers, CommandContext } from "./context.ts";

/** Tickers that are looked through at once, to find those that are seen. */
const LOOKED_MAX = 1_000;

/** @returns null: the caller may see every ticker. */
export function tickerCheck({ name, sees }: Caller): CheckTickers | null {
  if (sees === null) return null;
  return (tickers) => {
    for (const ticker of tickers)
      if (!sees(ticker))
        throw forbidden(`the key ${name} may not see ${ticker === "" ? "all tickers" : ticker}`);
  };
}

/** The same context, for these tickers. It has no SQL, which reads every table. */
export function contextOf(context: CommandContext, caller: Caller): CommandContext {
  const check = tickerCheck(caller);
  if (check === null) return context;
  const refuse = (what: string) => async (): Promise<never> => {
    throw forbidden(`${what}: the key ${caller.name} is for some tickers alone`);
  };
  return {
    ...context,
    reader: new SeenReader(context.reader, caller.sees!, check),
    checkTickers: check,
    save(save, ...rest) {
      check([save.ticker]);
      return context.save(save, ...rest);
    },
    saveTogether:
      context.saveTogether === null
        ? null
        : (saves, ...rest) => {
            check(saves.map(({ ticker }) => ticker));
            return context.saveTogether!(saves, ...rest);
          },
    edit(edit, call) {
      check(edit.what === "renaming" ? [edit.ticker, edit.newTicker] : [edit.ticker]);
      return context.edit(edit, call);
    },
    executeSql: refuse("execute_sql"),
    removeCheck: refuse("remove_check"),
  };
}

class SeenReader implements StockReader {
  readonly updates: UpdateReader;
  /** Absent where the reader has none. */
  readonly prices?: NonNullable<StockReader["prices"]>;
  readonly #reader: StockReader;
  readonly #sees: (ticker: string) => boolean;
  readonly #check: CheckTickers;

  constructor(reader: StockReader, sees: (ticker: string) => boolean, check: CheckTickers) {
    this.#reader = reader;
    this.#sees = sees;
    this.#check = check;
    this.updates = seenUpdates(reader, sees, check);
    const { prices } = reader;
    if (prices !== undefined)
      this.prices = (question, tickers, day) => {
        check(tickers);
        return prices.call(reader, question, tickers, day);
      };
  }

  rows: StockReader["rows"] = (range, signal) => this.#of(range.ticker).rows(range, signal);
  newest: StockReader["newest"] = (query) => this.#of(query.ticker).newest(query);
  newestOfParts: StockReader["newestOfParts"] = (query, signal) =>
    this.#of(query.ticker).newestOfParts(query, signal);
  latestPrice: StockReader["latestPrice"] = (ticker) => this.#of(ticker).latestPrice(ticker);
  previousClose: StockReader["previousClose"] = (ticker) => this.#of(ticker).previousClose(ticker);
  openingPrice: StockReader["openingPrice"] = (ticker, day) => this.#of(ticker).openingPrice(ticker, day);
  dailyVolume: StockReader["dailyVolume"] = (ticker, day) => this.#of(ticker).dailyVolume(ticker, day);
  parts: StockReader["parts"] = (kind, ticker) => this.#of(ticker).parts(kind, ticker);

  async tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    const seen: string[] = [];
    for (let from = after; seen.length < limit; ) {
      const some = await this.#reader.tickers(kind, from, LOOKED_MAX);
      seen.push(...some.filter(this.#sees));
      if (some.length < LOOKED_MAX) break;
      from = some.at(-1)!;
    }
    return seen.slice(0, limit);
  }

  async *columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    if (query.tickers !== null) this.#check(query.tickers);
    const tickers = query.tickers ?? (await this.tickers(query.kind, null, Number.POSITIVE_INFINITY));
    yield* this.#reader.columns({ ...query, tickers });
  }

  notes: StockReader["notes"] = async () => {
    throw forbidden("the roll-ups of all tickers are not for a key with some");
  };

  sizeBytes: StockReader["sizeBytes"] = () => this.#reader.sizeBytes();
  probe: StockReader["probe"] = (via) => this.#reader.probe(via);
  pool: StockReader["pool"] = () => this.#reader.pool();
  close: StockReader["close"] = () => undefined;

  #of(ticker: string): StockReader {
    this.#check([ticker]);
    return this.#reader;
  }
}

function seenUpdates(
  reader: StockReader,
  sees: (ticker: string) => boolean,
  check: CheckTickers,
): UpdateReader {
  const of = (ticker: string): UpdateReader => {
    check([ticker]);
    return reader.updates;
  };
  return {
    epoch: () => reader.updates.epoch(),
    keptSinceMs: () => reader.updates.keptSinceMs(),
    logBytes: () => reader.updates.logBytes(),
    async positions(tickers) {
      if (tickers !== null) check(tickers);
      const found = await reader.updates.positions(tickers);
      return tickers === null ? new Map([...found].filter(([ticker]) => sees(ticker))) : found;
    },
    newest: (ticker) => of(ticker).newest(ticker),
    after: (ticker, ...rest) => of(ticker).after(ticker, ...rest),
    snapshot: (ticker) => of(ticker).snapshot(ticker),
  };
}
