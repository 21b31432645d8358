/** A worker's reads, asked of its upstream. */
import type { MarketDay } from "../../market/market-day.ts";
import { isObject } from "../../protocol/json.ts";
import type {
  JsonRows,
  NewestOfPartsQuery,
  NewestQuery,
  Note,
  PoolFigures,
  PriceQuestion,
  RowRange,
  StockReader,
} from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { hasExtra, type KindName, kindOf, partName } from "../model/kinds.ts";
import { readRows } from "./answers.ts";
import { readColumns } from "./columns.ts";
import {
  askNewer,
  isPrice,
  memberOf,
  ofOlderServer,
  READ,
  readObject,
  readRequest,
  textsOf,
} from "./commands.ts";
import { LatestPrices } from "./latest-prices.ts";
import { RemoteUpdateReader } from "./updates.ts";
import type { Upstream } from "./upstream.ts";

/** Commands that answer `{member: {ticker: number or null}}`. */
const PRICE_COMMANDS: Record<PriceQuestion, { command: string; member: string }> = {
  latestPrice: { command: "get_latest_prices", member: "prices" },
  previousClose: { command: "get_previous_close_prices", member: "prices" },
  openingPrice: { command: "get_today_opening_prices", member: "prices" },
  dailyVolume: { command: "get_today_volume", member: "volumes" },
};

/** A bound that leaves nothing out. */
const FIRST_DAY = "0001-01-01";

export class RemoteReader implements StockReader {
  readonly updates: RemoteUpdateReader;
  readonly #upstream: Upstream;
  readonly #connectionsMax: number;
  readonly #latest: LatestPrices;

  constructor(upstream: Upstream, connectionsMax: number) {
    this.updates = new RemoteUpdateReader(upstream);
    this.#upstream = upstream;
    this.#connectionsMax = connectionsMax;
    this.#latest = new LatestPrices((tickers) => this.prices("latestPrice", tickers, null));
  }

  rows(
    { kind: name, ticker, part, from, to, withSeq, withExtra }: RowRange,
    signal?: AbortSignal,
  ): Promise<JsonRows> {
    const { wire, hasSeq } = kindOf(name);
    const first = wire.newestUnbounded && from === null && to === null ? FIRST_DAY : from;
    const params = {
      ticker,
      ...(wire.part === null ? {} : { [wire.part]: partName(name, part) }),
      ...bounds(wire.from, first, wire.to, to),
      ...(hasSeq ? { include_seq: withSeq === true } : {}),
      ...(withExtra && hasExtra(kindOf(name)) ? { include_extra: true } : {}),
    };
    return this.#rows(wire.read, params, { long: true, signal });
  }

  newest({ kind: name, ticker, part, from, to, limit, withExtra }: NewestQuery): Promise<JsonRows> {
    const { wire } = kindOf(name);
    const { command, from: first, to: last } = wire.newest;
    const ofKind = command === "get_historical_data" ? { data_type: name } : {};
    const named = part === null || wire.part === null ? ofKind : { [wire.part]: part };
    const extra = withExtra && hasExtra(kindOf(name)) ? { include_extra: true } : {};
    const params = { ticker, ...named, limit, ...bounds(first, from, last, to), ...extra };
    return this.#rows(command, params, { long: false });
  }

  newestOfParts(query: NewestOfPartsQuery, signal?: AbortSignal): Promise<JsonRows> {
    const { parts, ...params } = query;
    return this.#rows("get_newest_rows", { ...params, series: parts }, { long: true, signal });
  }

  latestPrice(ticker: string): Promise<number | null> {
    return this.#latest.of(ticker);
  }

  async previousClose(ticker: string): Promise<number | null> {
    return (await this.prices("previousClose", [ticker], null))[0]!;
  }

  async openingPrice(ticker: string, day: MarketDay): Promise<number | null> {
    return (await this.prices("openingPrice", [ticker], day))[0]!;
  }

  async dailyVolume(ticker: string, day: MarketDay): Promise<number | null> {
    return (await this.prices("dailyVolume", [ticker], day))[0]!;
  }

  /** A day is today, as the upstream's clock has it, in the time zone of this server. */
  async prices(
    question: PriceQuestion,
    tickers: string[],
    day: MarketDay | null,
  ): Promise<(number | null)[]> {
    const { command, member } = PRICE_COMMANDS[question];
    const params = { tickers, ...(day === null ? {} : { timezone: day.zone }) };
    const answer = await this.#upstream.ask(readRequest(command, params), readObject);
    const prices = memberOf(answer, member, isObject, command);
    return tickers.map((ticker) => memberOf(prices, ticker, isPrice, command));
  }

  async tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    const params = { kind, limit, ...(after === null ? {} : { after }) };
    return textsOf(await askNewer(this.#upstream, "get_tickers", params), "tickers", "get_tickers");
  }

  columns(query: ColumnQuery): AsyncIterable<ColumnBatch> {
    return readColumns(this, query);
  }

  async parts(kind: KindName, ticker: string): Promise<string[]> {
    const { part } = kindOf(kind);
    if (part === null) return [];
    if (kind === "ticks")
      return textsOf(await askNewer(this.#upstream, "get_tick_types", { ticker }), "types", "get_tick_types");
    const params = { kind, ticker };
    return textsOf(await askNewer(this.#upstream, "get_series", params), "series", "get_series");
  }

  /** They are the upstream's own. */
  notes(): Note[] {
    return [];
  }

  async sizeBytes(): Promise<number | null> {
    const request = { ...READ, what: "stats", path: "/stats/database", body: null };
    const answer = await this.#upstream.ask(request, readObject);
    const { size_bytes } = memberOf(answer, "database", isObject, "/stats/database");
    return typeof size_bytes === "number" ? size_bytes : null;
  }

  probe(via: string | null = null): Promise<void> {
    return this.#upstream.probe(via);
  }

  /** Connections open on demand, so idle ones count as available; broken ones are stale. */
  pool(): PoolFigures {
    const { active, waiting, broken, isAway } = this.#upstream.figures;
    const figures = {
      pool_enabled: true,
      pool_max_size: this.#connectionsMax,
      available_connections: isAway ? 0 : this.#connectionsMax - active,
      active_connections: active,
      stale_connections: broken,
      waiting_requests: waiting,
      connected: !isAway,
    };
    return figures;
  }

  close(): void {
    this.#upstream.close();
  }

  async #rows(
    command: string,
    params: Record<string, unknown>,
    options: { long: boolean; signal?: AbortSignal | undefined },
  ): Promise<JsonRows> {
    try {
      return await this.#upstream.ask({ ...readRequest(command, params), ...options }, readRows);
    } catch (error) {
      throw ofOlderServer(error, command);
    }
  }
}

/** An open bound has no parameter. */
function bounds(fromName: string, from: string | null, toName: string, to: string | null) {
  return { ...(from === null ? {} : { [fromName]: from }), ...(to === null ? {} : { [toName]: to }) };
}
