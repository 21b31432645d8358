/** Asks the upstream for positions and updates: this server has none of its own. */
import { wrongUpstream } from "../../protocol/errors.ts";
import { isObject, isText, type JsonRecord } from "../../protocol/json.ts";
import { turn } from "../../time/pauses.ts";
import { TransferRowError } from "../contract.ts";
import { barSeries, type KindName } from "../model/kinds.ts";
import type {
  NewestRow,
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import { askNewer, isPosition, memberOf, READ, readExactObject, readObject } from "./commands.ts";
import type { Upstream } from "./upstream.ts";
import { toRow } from "./wire-rows.ts";

/** Limit for one question; the upstream takes twice as many. */
const TICKERS_MAX = 5_000;
/** The upstream gives no more at once. */
const UPDATES_MAX = 10_000;

export class RemoteUpdateReader implements UpdateReader {
  readonly #upstream: Upstream;
  /** Shared by all who ask in this turn of the event loop. */
  #epoch: Promise<string> | null = null;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  epoch(): Promise<string> {
    this.#epoch ??= turn().then(() => {
      this.#epoch = null;
      return this.#askEpoch();
    });
    return this.#epoch;
  }

  async positions(tickers: readonly string[] | null): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const params of tickers === null ? [{}] : questions(tickers)) {
      const answer = await this.#ask("get_positions", params);
      const positions = memberOf(answer, "positions", isObject, "get_positions");
      for (const ticker of Object.keys(positions))
        found.set(ticker, memberOf(positions, ticker, isPosition, "get_positions"));
    }
    return found;
  }

  async newest(ticker: string): Promise<NewestUpdate> {
    const answer = await this.#ask("get_positions", { tickers: [ticker], times: true });
    const positions = memberOf(answer, "positions", isObject, "get_positions");
    if (!Object.hasOwn(positions, ticker)) return { position: 0, savedAtMs: 0 };
    const seq = memberOf(positions, ticker, isPosition, "get_positions");
    const { times } = answer;
    const savedAt = isObject(times) && Object.hasOwn(times, ticker) ? times[ticker] : undefined;
    return { position: seq, savedAtMs: typeof savedAt === "number" ? savedAt : null };
  }

  async after(ticker: string, after: number, limit: UpdateLimit): Promise<StoredUpdate[]> {
    const answer = await this.#ask("get_updates", {
      ticker,
      since: after,
      limit: Math.max(1, Math.min(limit.updates, UPDATES_MAX)),
      characters: Math.max(1, Math.floor(Math.min(limit.characters, Number.MAX_SAFE_INTEGER))),
      stored: true,
    });
    return memberOf(answer, "updates", isRecords, "get_updates").map(toStoredUpdate);
  }

  /** Null too where an older server doesn't tell. */
  async keptSinceMs(): Promise<number | null> {
    const request = { ...READ, what: "health", path: "/health", body: null };
    const { requests_known_since: since } = await this.#upstream.ask(request, readObject);
    return typeof since === "string" ? Date.parse(since) : null;
  }

  /** Its own metrics tell. */
  logBytes(): null {
    return null;
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const answer = await askNewer(this.#upstream, "get_snapshot", { ticker }, readExactObject);
    const rowOf = (member: string, of = answer) => memberOf(of, member, isObjectOrNull, "get_snapshot");
    const newest: NewestRow[] = [];
    const add = (kind: KindName, part: string | null, row: JsonRecord | null, names = {}): void => {
      if (row !== null) newest.push({ kind, part, row: toRow(kind, row, names) });
    };
    try {
      add("ticks", "quote", rowOf("quote"), QUOTE_NAMES);
      add("ticks", "trade", rowOf("trade"));
      const bars = rowOf("bar") ?? {};
      for (const name of Object.keys(bars)) {
        const series = barSeries(name);
        if (series !== null) add(series.kind, series.part, rowOf(name, bars));
      }
      return { position: memberOf(answer, "seq", isPosition, "get_snapshot"), newest };
    } catch (error) {
      if (!(error instanceof TransferRowError)) throw error;
      throw wrongUpstream(`the upstream answered get_snapshot: ${error.message}`);
    }
  }

  async #askEpoch(): Promise<string> {
    return memberOf(await this.#ask("get_positions", { tickers: [] }), "epoch", isText, "get_positions");
  }

  #ask(command: string, params: JsonRecord): Promise<JsonRecord> {
    return askNewer(this.#upstream, command, params);
  }
}

function questions(tickers: readonly string[]): { tickers: string[] }[] {
  const pages = [];
  for (let at = 0; at < tickers.length; at += TICKERS_MAX)
    pages.push({ tickers: tickers.slice(at, at + TICKERS_MAX) });
  return pages;
}

function toStoredUpdate(update: JsonRecord): StoredUpdate {
  return {
    position: memberOf(update, "seq", isPosition, "get_updates"),
    type: memberOf(update, "type", isText, "get_updates"),
    frame: memberOf(update, "frame", isText, "get_updates"),
    savedAtMs: memberOf(update, "saved_at", isNumber, "get_updates"),
  };
}

/** A snapshot names a quote's price and size differently. */
const QUOTE_NAMES = { price: "bid_price", size: "bid_size" };

const isNumber = (value: unknown): value is number => typeof value === "number";

function isRecords(value: unknown): value is JsonRecord[] {
  return Array.isArray(value) && value.every(isObject);
}

const isObjectOrNull = (value: unknown): value is JsonRecord | null => value === null || isObject(value);
