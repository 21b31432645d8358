/**
 * The other clients of a server under attack, in a process of their own, so that what they measure
 * is the server and not the attacker's event loop. They ask for little: two writers and two readers
 * with a pause after each answer, one that runs `SELECT 1`, and four subscribers that check every
 * update.
 */
import { Latencies } from "../bench/latencies.ts";
import { Books, type TickerBook } from "../soak/books.ts";
import { judgeStored, judgeSubscriber, type StoredTicker } from "../soak/judge.ts";
import { requestFor } from "../soak/numbered-saves.ts";
import { openSaveConnection, type SaveConnection } from "../soak/save-connection.ts";
import { SeenUpdates } from "../soak/seen-updates.ts";
import { readStored } from "../soak/stored-updates.ts";
import { SoakSubscriber, type Style } from "../soak/subscriber.ts";
import { SubscriberCheck } from "../soak/subscriber-check.ts";
import { Violations } from "../soak/violations.ts";
import { randomNumbers } from "../test/support/random.ts";
import type { BystandersPlan, FromBystanders, ToBystanders, Verdict, Window } from "./bystanders-protocol.ts";

const TICKERS = ["BYSTANDER0", "BYSTANDER1"];
const STYLES: Style[] = ["symbol", "symbols", "symbol, since 0", "messages"];
/** Between an answer and the next request. */
const PAUSE_MS = 15;
const SQL_PAUSE_MS = 200;
/** Another than the attacker's: statements of one address wait for each other. */
const SQL_ADDRESS = "127.0.0.2";
const RECONNECT_MS = 20;
const REFUSALS_KEPT = 5;
const SHOWN_CHARACTERS = 200;
/** For the last updates to arrive. */
const SETTLE_MS = 30_000;
const SETTLE_POLL_MS = 100;
const READS = [
  { command: "get_latest_price", params: { ticker: "IBM" } },
  { command: "get_stock_data", params: { ticker: "AAPL", start_date: "2020-01-01", end_date: "2020-12-31" } },
];
const SELECT_ONE = { command: "execute_sql", params: { sql_query: "SELECT 1 AS one", query_type: "select" } };

class Bystanders {
  readonly #plan: BystandersPlan;
  readonly #violations = new Violations();
  readonly #books = new Books(TICKERS);
  readonly #seen = new Map(TICKERS.map((ticker) => [ticker, new SeenUpdates()]));
  readonly #subscribers: SoakSubscriber[];
  readonly #requests = new Latencies();
  readonly #sql = new Latencies();
  #refused: string[] = [];
  #refusedCount = 0;
  #sqlRefused: string | null = null;
  #broken = 0;
  #stopping = false;
  #running: Promise<void>[] = [];

  constructor(plan: BystandersPlan) {
    this.#plan = plan;
    this.#subscribers = STYLES.map((style, i) => {
      const tickers = style === "symbol" || style === "symbol, since 0" ? [TICKERS[i % 2]!] : TICKERS;
      const interest = { name: `subscriber ${i} (${style})`, tickers, types: null };
      const check = new SubscriberCheck(interest, (ticker) => this.#seen.get(ticker)!, this.#violations);
      return new SoakSubscriber(check, style, plan.wsUrl, randomNumbers(plan.seed + i));
    });
  }

  start(): void {
    for (const subscriber of this.#subscribers) {
      // It stays connected: it is the attack that may send it away.
      subscriber.settle();
      subscriber.start();
    }
    for (const book of this.#books.tickers) this.#running.push(this.#write(book));
    for (const read of READS)
      this.#running.push(this.#repeat(PAUSE_MS, (at) => this.#ask(at, read, this.#requests)));
    const askSql = (at: SaveConnection) => this.#ask(at, SELECT_ONE, this.#sql);
    this.#running.push(this.#repeat(SQL_PAUSE_MS, askSql, SQL_ADDRESS));
  }

  takeWindow(): Window {
    const window = {
      requests: { ...this.#requests.summary(), count: this.#requests.count },
      sql: { ...this.#sql.summary(), count: this.#sql.count },
      refused: this.#refused,
      refusedCount: this.#refusedCount,
      sqlRefused: this.#sqlRefused,
      broken: this.#broken,
    };
    this.#requests.clear();
    this.#sql.clear();
    this.#refused = [];
    this.#refusedCount = 0;
    this.#sqlRefused = null;
    this.#broken = 0;
    return window;
  }

  async finish(): Promise<Verdict> {
    this.#stopping = true;
    await Promise.all(this.#running);
    const stored = new Map<string, StoredTicker>();
    for (const book of this.#books.tickers) {
      const updates = readStored(this.#plan.url, book.ticker);
      const judged = { book, seen: this.#seen.get(book.ticker)!, stored: updates };
      stored.set(book.ticker, await judgeStored(judged, this.#violations));
    }
    await this.#untilSettled(stored);
    for (const { check } of this.#subscribers) judgeSubscriber(check, stored, this.#violations);
    for (const subscriber of this.#subscribers) subscriber.end();
    return {
      answeredSaves: this.#books.tickers.reduce((sum, { answeredSaves }) => sum + answeredSaves, 0),
      updatesSeen: this.#subscribers.reduce((sum, { check }) => sum + updatesOf(check), 0),
      violations: this.#violations.kept.map(
        ({ fault, who, ticker, what, frames }) =>
          `${fault}: ${who}, ${ticker}: ${what}${frames.map((frame) => `\n      ${frame.slice(0, SHOWN_CHARACTERS)}`).join("")}`,
      ),
    };
  }

  async #write(book: TickerBook): Promise<void> {
    await this.#repeat(PAUSE_MS, async (connection) => {
      const save = this.#books.begin(book, "trade", 1);
      if (await this.#ask(connection, requestFor(save), this.#requests)) this.#books.answered(book, save);
      else book.uncertainSaves++;
    });
  }

  /** Until told to stop, over one connection as long as it holds. */
  async #repeat(
    pauseMs: number,
    act: (connection: SaveConnection) => Promise<unknown>,
    localAddress?: string,
  ): Promise<void> {
    let connection: SaveConnection | null = null;
    while (!this.#stopping) {
      try {
        connection ??= await openSaveConnection(this.#plan.port, localAddress);
        await act(connection);
        await Bun.sleep(pauseMs);
      } catch {
        this.#broken++;
        connection?.close();
        connection = null;
        await Bun.sleep(RECONNECT_MS);
      }
    }
    connection?.close();
  }

  /** @returns Whether it was answered with 200. @throws Error The connection broke. */
  async #ask(connection: SaveConnection, request: unknown, latencies: Latencies): Promise<boolean> {
    const startedAt = performance.now();
    const { status, body } = await connection.post(JSON.stringify(request));
    addWithOmitted(latencies, performance.now() - startedAt);
    if (status === 200) return true;
    const shown = `${JSON.stringify(request).slice(0, 60)}: ${status} ${Buffer.from(body ?? [])
      .toString()
      .slice(0, SHOWN_CHARACTERS)}`;
    if (latencies === this.#sql) {
      this.#sqlRefused ??= shown;
      return false;
    }
    this.#refusedCount++;
    if (this.#refused.length < REFUSALS_KEPT) this.#refused.push(shown);
    return false;
  }

  async #untilSettled(stored: ReadonlyMap<string, StoredTicker>): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    const isBehind = ({ check }: SoakSubscriber): boolean =>
      check.interest.tickers!.some((ticker) => {
        const { last, heartbeat } = check.tickers.get(ticker)!;
        const newest = stored.get(ticker)!.length - 1;
        return last < newest || heartbeat < newest;
      });
    while (this.#subscribers.some(isBehind) && performance.now() < deadline) await Bun.sleep(SETTLE_POLL_MS);
  }
}

/**
 * A client that waits asks for nothing meanwhile. The requests that it would have sent had waited
 * too, each a bit less, and count as well; else a standstill would be one slow request.
 */
function addWithOmitted(latencies: Latencies, ms: number): void {
  latencies.add(ms);
  for (let rest = ms - PAUSE_MS; rest > PAUSE_MS; rest -= PAUSE_MS) latencies.add(rest);
}

function updatesOf(check: SubscriberCheck): number {
  return [...check.tickers.values()].reduce((sum, { counts }) => sum + counts.updates, 0);
}

let bystanders: Bystanders | null = null;

process.on("disconnect", () => process.exit(0));
process.on("message", async (message: ToBystanders) => {
  try {
    if (message.type === "plan") {
      bystanders = new Bystanders(message.plan);
      bystanders.start();
      tell({ type: "running" });
    } else if (message.type === "window") tell({ type: "window", window: bystanders!.takeWindow() });
    else tell({ type: "verdict", verdict: await bystanders!.finish() });
  } catch (error) {
    tell({ type: "failed", reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
tell({ type: "listening" });

function tell(message: FromBystanders): void {
  process.send?.(message);
}
