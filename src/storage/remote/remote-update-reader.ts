/** Positions and updates, asked of the upstream: a server in front has no others, and the same epoch. */
import { unavailable } from "../../protocol/errors.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";
import type { BarRow } from "../contract.ts";
import type {
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import { askNewer, listOf, readExactObject } from "./commands.ts";
import type { Upstream } from "./upstream.ts";
import { toBarRow, toQuote, toTrade } from "./wire-rows.ts";

/** Of one question; the upstream takes twice as many. */
const TICKERS_MAX = 5_000;
/** Most that the upstream gives at once. */
const UPDATES_MAX = 10_000;

export class RemoteUpdateReader implements UpdateReader {
  readonly #upstream: Upstream;
  /** Of those who ask in this turn of the event loop. */
  #epoch: Promise<string> | null = null;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  epoch(): Promise<string> {
    this.#epoch ??= new Promise(setImmediate).then(() => {
      this.#epoch = null;
      return this.#askEpoch();
    });
    return this.#epoch;
  }

  async positions(tickers: readonly string[] | null): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const params of tickers === null ? [{}] : questions(tickers)) {
      const { positions } = await this.#ask("get_positions", params);
      if (!isObject(positions)) throw unavailable("the upstream answered get_positions without positions");
      for (const [ticker, seq] of Object.entries(positions)) found.set(ticker, Number(seq));
    }
    return found;
  }

  async newest(ticker: string): Promise<NewestUpdate> {
    const { positions, times } = await this.#ask("get_positions", { tickers: [ticker], times: true });
    if (!isObject(positions)) throw unavailable("the upstream answered get_positions without positions");
    const seq = Number(positions[ticker] ?? 0);
    if (seq === 0) return { seq, savedAtMs: 0 };
    const savedAt = isObject(times) ? times[ticker] : undefined;
    return { seq, savedAtMs: typeof savedAt === "number" ? savedAt : null };
  }

  async after(ticker: string, after: number, limit: UpdateLimit): Promise<StoredUpdate[]> {
    const answer = await this.#ask("get_updates", {
      ticker,
      since: after,
      limit: Math.max(1, Math.min(limit.updates, UPDATES_MAX)),
      characters: Math.max(1, Math.floor(Math.min(limit.characters, Number.MAX_SAFE_INTEGER))),
      stored: true,
    });
    return listOf(answer, "updates").map((update) => toStoredUpdate(update as JsonRecord));
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const { seq, quote, trade, bar } = await askNewer(
      this.#upstream,
      "get_snapshot",
      { ticker },
      readExactObject,
    );
    const bars = isObject(bar) ? bar : {};
    return {
      seq: Number(seq),
      quote: isObject(quote) ? toQuote(quote) : null,
      trade: isObject(trade) ? toTrade(trade) : null,
      daily: barOf(bars.daily, "daily"),
      hourly: barOf(bars.hourly, "hourly"),
    };
  }

  async #askEpoch(): Promise<string> {
    const { epoch } = await this.#ask("get_positions", { tickers: [] });
    if (typeof epoch !== "string") throw unavailable("the upstream answered get_positions without epoch");
    return epoch;
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

function toStoredUpdate({ seq, type, frame, saved_at }: JsonRecord): StoredUpdate {
  return { seq: Number(seq), type: String(type), frame: String(frame), savedAtMs: Number(saved_at) };
}

function barOf(bar: unknown, interval: "daily" | "hourly"): BarRow | null {
  return isObject(bar) ? toBarRow(bar, interval) : null;
}
