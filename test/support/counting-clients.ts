/**
 * Clients that save and read at the same time and note what they were answered, and a comparison of
 * their notes with what the server has stored: nothing answered may be missing, and nothing may be
 * there twice.
 *
 * Ticks: each has a price of its own, and many share a stamp, so that a save that is repeated by
 * mistake would find its place taken. Daily bars: each save brings a new date and a bar of
 * REVISED_DATE, which every save of the ticker replaces; an older save that is repeated after a
 * newer one would be seen there.
 */
import { type Answer, command } from "./requests.ts";

const TICK_CLIENTS = 5;
const TICK_TICKERS = 3;
/** Every tenth save of ticks is one of many rows. */
const LARGE_EVERY = 10;
const LARGE_ROWS = 25;
const TICKS_A_STAMP = 40;
const TICKS_BEGIN_MS = Date.UTC(2024, 0, 2, 15);
const BAR_CLIENTS = 2;
const BARS_BEGIN_MS = Date.UTC(1900, 0, 1);
const DAY_MS = 86_400_000;
/** After all others: a bar in front of them would change all their averages. */
const REVISED_DATE = "2200-01-01";
const PAUSE_AFTER_REFUSAL_MS = 10;
const REFUSALS_KEPT = 5;

/** Of one save or read that was not answered with 200. */
export interface Refusal {
  status: number;
  retryAfter: string | null;
  body: unknown;
}

/** What is stored, against what was answered; every list and `twice` should be empty. */
export interface Comparison {
  answered: number;
  stored: number;
  missing: string[];
  twice: string[];
  /** Stored, but never sent. */
  unknown: string[];
}

interface BarSeries {
  ticker: string;
  sent: number;
  /** Number of the last save that was answered with 200. */
  answered: number;
  answeredDates: Set<number>;
}

export class CountingClients {
  readonly statuses = new Map<number, number>();
  /** Other than a 503 that says when to come back. */
  readonly wrong: (Refusal | string)[] = [];
  /** Reads that lacked what had been answered before they began. */
  readonly staleReads: string[] = [];
  /** Some of the reasons given with a 503. */
  readonly reasons = new Set<string>();
  answeredSaves = 0;
  answeredReads = 0;
  slowestMs = 0;
  #url = "";
  #running: Promise<void>[] = [];
  #stopping = false;
  #nextTick = 0;
  #tickSaves = 0;
  readonly #answeredTicks = new Set<number>();
  readonly #answeredByTicker = new Map<string, number>();
  readonly #series: BarSeries[] = Array.from({ length: BAR_CLIENTS }, (_, i) => ({
    ticker: `BAR${i}`,
    sent: 0,
    answered: 0,
    answeredDates: new Set(),
  }));

  start(url: string): void {
    this.#url = url;
    this.#stopping = false;
    const repeat = async (step: () => Promise<void>): Promise<void> => {
      while (!this.#stopping) await step();
    };
    this.#running = [
      ...Array.from({ length: TICK_CLIENTS }, () => repeat(() => this.#saveTicks())),
      ...this.#series.map((series) => repeat(() => this.#saveBars(series))),
      repeat(() => this.#readTicks()),
      repeat(() => this.#readBars()),
    ];
  }

  /** Resolves when every request under way is answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  async compareTicks(): Promise<Comparison> {
    const times = new Map<number, number>();
    for (let i = 0; i < TICK_TICKERS; i++) {
      const answer = await command(this.#url, "get_realtime_data", {
        ticker: `TICK${i}`,
        data_type: "trade",
      });
      for (const { price } of rowsOf(answer)) {
        const key = price % TICK_TICKERS === i ? price : Number.NaN;
        times.set(key, (times.get(key) ?? 0) + 1);
      }
    }
    return compare(this.#answeredTicks, times, (n) => n >= 0 && n < this.#nextTick, "tick");
  }

  async compareBars(): Promise<Comparison> {
    const all: Comparison = { answered: 0, stored: 0, missing: [], twice: [], unknown: [] };
    for (const { ticker, sent, answered, answeredDates } of this.#series) {
      const rows = rowsOf(await command(this.#url, "get_stock_data", { ticker }));
      const times = new Map<number, number>();
      for (const { date, close } of rows) {
        if (date.startsWith(REVISED_DATE)) {
          if (close < answered || close > sent)
            all.missing.push(`${ticker} revision ${answered}, stored ${close}`);
          continue;
        }
        const key = date.slice(0, 10) === dateOf(close) ? close : Number.NaN;
        times.set(key, (times.get(key) ?? 0) + 1);
      }
      const one = compare(answeredDates, times, (n) => n >= 1 && n <= sent, ticker);
      all.answered += one.answered;
      all.stored += one.stored;
      all.missing.push(...one.missing);
      all.twice.push(...one.twice);
      all.unknown.push(...one.unknown);
    }
    return all;
  }

  async #saveTicks(): Promise<void> {
    const count = ++this.#tickSaves % LARGE_EVERY === 0 ? LARGE_ROWS : 1;
    const ticker = this.#nextTick % TICK_TICKERS;
    const prices = Array.from({ length: count }, (_, i) => this.#nextTick + i * TICK_TICKERS);
    // The numbers of one ticker are those with its remainder; what lies between them is left out.
    this.#nextTick = prices.at(-1)! + 1;
    const data = prices.map((price) => ({
      timestamp: new Date(TICKS_BEGIN_MS + Math.floor(price / TICKS_A_STAMP)).toISOString(),
      price,
      size: 1,
    }));
    const params = { ticker: `TICK${ticker}`, data, index_col: "timestamp", data_type: "trade" };
    if ((await this.#ask("save_realtime_data", params)) === null) return;
    this.answeredSaves++;
    for (const price of prices) this.#answeredTicks.add(price);
    this.#answeredByTicker.set(
      params.ticker,
      (this.#answeredByTicker.get(params.ticker) ?? 0) + prices.length,
    );
  }

  async #saveBars(series: BarSeries): Promise<void> {
    const n = ++series.sent;
    const bar = (date: string) => ({ date, open: n, high: n, low: n, close: n, volume: n });
    const data = [bar(dateOf(n)), bar(REVISED_DATE)];
    const params = { ticker: series.ticker, data, index_col: "date" };
    if ((await this.#ask("save_stock_data", params)) === null) return;
    this.answeredSaves++;
    series.answered = n;
    series.answeredDates.add(n);
  }

  async #readTicks(): Promise<void> {
    const ticker = `TICK${this.answeredReads % TICK_TICKERS}`;
    const expected = this.#answeredByTicker.get(ticker) ?? 0;
    const sql_query = `SELECT count(*) AS n FROM realtime_data WHERE ticker = '${ticker}'`;
    const answer = await this.#ask("execute_sql", { sql_query, query_type: "select" });
    if (answer === null) return;
    this.answeredReads++;
    const { n } = rowsOf(answer)[0]!;
    if (n < expected) this.staleReads.push(`${ticker}: ${expected} answered, ${n} read`);
  }

  async #readBars(): Promise<void> {
    const { ticker, answered } = this.#series[this.answeredReads % BAR_CLIENTS]!;
    const answer = await this.#ask("get_stock_data", { ticker, start_date: REVISED_DATE });
    if (answer === null) return;
    this.answeredReads++;
    const close = rowsOf(answer)[0]?.close ?? 0;
    if (close < answered) this.staleReads.push(`${ticker}: revision ${answered} answered, ${close} read`);
  }

  /** @returns null when it was not answered with 200, after a pause. */
  async #ask(name: string, params: Record<string, unknown>): Promise<Answer | null> {
    const asked = performance.now();
    try {
      const answer = await command(this.#url, name, params);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - asked);
      const { status, headers, body } = answer;
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      if (status === 200) return answer;
      const retryAfter = headers.get("retry-after");
      if (status === 503 && Number(retryAfter) >= 1) this.#note(`${name}: ${body.error}`);
      else this.wrong.push({ status, retryAfter, body });
    } catch (error) {
      this.wrong.push(`${name}: ${String(error)}`);
    }
    await Bun.sleep(PAUSE_AFTER_REFUSAL_MS);
    return null;
  }

  #note(reason: string): void {
    if (this.reasons.size < REFUSALS_KEPT) this.reasons.add(reason);
  }
}

function compare(
  answered: Set<number>,
  times: Map<number, number>,
  wasSent: (n: number) => boolean,
  what: string,
): Comparison {
  const named = (numbers: number[]): string[] => numbers.map((n) => `${what} ${n}`);
  const stored = [...times.keys()];
  return {
    answered: answered.size,
    stored: stored.length,
    missing: named([...answered].filter((n) => !times.has(n))),
    twice: named(stored.filter((n) => times.get(n) !== 1)),
    unknown: named(stored.filter((n) => !wasSent(n))),
  };
}

function dateOf(n: number): string {
  return new Date(BARS_BEGIN_MS + n * DAY_MS).toISOString().slice(0, 10);
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
function rowsOf({ status, body }: Answer): any[] {
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`);
  return body.data;
}
