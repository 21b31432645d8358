/**
 * Keeps encoded answers: charts and prices are asked for again and again. It uses a kept answer
 * only while the ticker has the version noted before the read, so the answer is never older than
 * the last answered save.
 */
import type { JsonRows, RowRange, StockReader } from "./contract.ts";
import type { KindName } from "./model/kinds.ts";
import { RecentlyUsed } from "./recently-used.ts";
import type { UpdateReader } from "./update-contract.ts";

/** In one worker. An answer has at most 1,000 rows, about 360 KB. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
const KEPT_PRICES_MAX = 50_000;

/** Counters that change whenever rows of a ticker may have changed; see hub/version-board.ts. */
export interface Versions {
  version(ticker: string, kind: KindName): number;
  versionOfAll(ticker: string): number;
}

interface KeptAnswer {
  version: number;
  rows: JsonRows;
  bytes: number;
}

export class CachedReader implements StockReader {
  readonly #reader: StockReader;
  readonly #versions: Versions;
  readonly #look: () => void;
  readonly #answers = new RecentlyUsed<KeptAnswer>(KEPT_BYTES_MAX, ({ bytes }) => bytes);
  readonly #prices = new Map<string, { version: number; price: number | null }>();

  readonly newest: StockReader["newest"] = (query) => this.#reader.newest(query);
  readonly newestOfParts: StockReader["newestOfParts"] = (...of) => this.#reader.newestOfParts(...of);
  readonly previousClose: StockReader["previousClose"] = (ticker) => this.#reader.previousClose(ticker);
  readonly openingPrice: StockReader["openingPrice"] = (...of) => this.#reader.openingPrice(...of);
  readonly dailyVolume: StockReader["dailyVolume"] = (...of) => this.#reader.dailyVolume(...of);
  readonly tickers: StockReader["tickers"] = (...of) => this.#reader.tickers(...of);
  readonly parts: StockReader["parts"] = (...of) => this.#reader.parts(...of);
  /** Not cached: answers of many rows are seldom asked for again. */
  readonly columns: StockReader["columns"] = (query) => this.#reader.columns(query);
  readonly notes: StockReader["notes"] = (...of) => this.#reader.notes(...of);
  readonly sizeBytes: StockReader["sizeBytes"] = () => this.#reader.sizeBytes();
  readonly probe: StockReader["probe"] = () => this.#reader.probe();
  readonly pool: StockReader["pool"] = () => this.#reader.pool();
  readonly close: StockReader["close"] = () => this.#reader.close();

  /** @param look throws when no kept answer may be given any more. */
  constructor(reader: StockReader, versions: Versions, look: () => void) {
    this.#reader = reader;
    this.#versions = versions;
    this.#look = look;
  }

  /** Not cached: positions are read to find out what was missed. */
  get updates(): UpdateReader {
    return this.#reader.updates;
  }

  get keptBytes(): number {
    return this.#answers.weight;
  }

  /** Drops everything. */
  shrink(): void {
    this.#answers.clear();
    this.#prices.clear();
  }

  rows(range: RowRange, signal?: AbortSignal): JsonRows | Promise<JsonRows> {
    this.#look();
    const { kind, ticker, part, from, to, withSeq, withExtra } = range;
    const form = `${withSeq === true}\0${withExtra === true}`;
    const key = `${kind}\0${ticker}\0${part}\0${from}\0${to}\0${form}`;
    const version = this.#versions.version(ticker, kind);
    return this.#kept(key, version) ?? this.#keep(key, version, this.#reader.rows(range, signal));
  }

  latestPrice(ticker: string): number | null | Promise<number | null> {
    this.#look();
    const version = this.#versions.versionOfAll(ticker);
    const kept = this.#prices.get(ticker);
    if (kept !== undefined && kept.version === version) return kept.price;
    const price = this.#reader.latestPrice(ticker);
    if (price instanceof Promise) return price.then((found) => this.#keepPrice(ticker, version, found));
    return this.#keepPrice(ticker, version, price);
  }

  #kept(key: string, version: number): JsonRows | null {
    const kept = this.#answers.get(key);
    if (kept === undefined) return null;
    if (kept.version === version) return kept.rows;
    this.#answers.delete(key);
    return null;
  }

  #keep(key: string, version: number, found: JsonRows | Promise<JsonRows>): JsonRows | Promise<JsonRows> {
    if (found instanceof Promise) return found.then((rows) => this.#keep(key, version, rows));
    if (found.empty || !("text" in found)) return found;
    const bytes = found.text.length + key.length;
    this.#answers.set(key, { version, rows: found, bytes });
    return found;
  }

  #keepPrice(ticker: string, version: number, price: number | null): number | null {
    if (this.#prices.size >= KEPT_PRICES_MAX) this.#prices.clear();
    this.#prices.set(ticker, { version, price });
    return price;
  }
}
