/**
 * Tests whether a save reaches subscribers on other connections. The kernel spreads connections
 * over the workers, so with enough subscribers every worker has some.
 */
import { newCheckTicker } from "../../market/check-ticker.ts";
import { STATUS } from "../../protocol/codes.ts";
import { asObject, CheckFailure, RefusedFailure, sendCommand } from "./server-under-check.ts";
import { type Subscriber, subscribe } from "./subscriber.ts";

/** With a lower status, the server refused the request and stored nothing. */
const SERVER_ERRORS = STATUS.ownFault;

export interface LiveUpdatesReport {
  subscribers: number;
  received: number;
  /** Of subscribers that received it, from before the save was sent. */
  averageMs: number;
  slowestMs: number;
  firstFailure: string | null;
}

/** With four for each worker, one worker in 50 gets none. Eight are plenty for one process. */
const SUBSCRIBERS_PER_WORKER = 4;
const SUBSCRIBERS_MIN = 8;
const SUBSCRIBERS_MAX = 64;
const REMOVAL_TRIES = 10;
const REMOVAL_RETRY_MS = 300;
const FIRST_BID = 1;
const SECOND_BID = 2;

/** A ticker for this check alone, and the rows saved for it. */
export class ThrowAwayTicker {
  readonly ticker = newCheckTicker();
  readonly #url: string;
  #saved: number[] = [];
  #saving: Promise<unknown> = Promise.resolve();
  #isRemoved = false;

  constructor(url: string) {
    this.#url = url;
  }

  get hasRows(): boolean {
    return this.#saved.length > 0;
  }

  /** @throws CheckFailure also once the rows are removed: a later save would stay. */
  async saveBid(price: number): Promise<void> {
    if (this.#isRemoved) throw new CheckFailure("the check is ending");
    const timestamp = new Date().toISOString();
    // Counted before the answer: a lost answer leaves a row that must be deleted.
    this.#saved.push(price);
    const data = [{ timestamp, price, size: 1, ask_price: price + 1, ask_size: 1 }];
    const save = { ticker: this.ticker, data, index_col: "timestamp", data_type: "quote" };
    try {
      this.#saving = sendCommand(this.#url, "save_realtime_data", save);
      await this.#saving;
    } catch (error) {
      if (error instanceof RefusedFailure && error.status < SERVER_ERRORS) this.#saved.pop();
      throw error;
    }
  }

  /** @returns the number of rows. @throws CheckFailure unless exactly the saved rows are there. */
  async readBack(): Promise<number> {
    const prices = (await this.#readRows()).map((row) => asObject(row).price);
    if (prices.join() === this.#saved.join()) return prices.length;
    throw new CheckFailure(
      `saved the prices ${this.#saved.join(", ")}, read back ${prices.join(", ") || "none"}`,
    );
  }

  /** @returns whether the position stays, as older servers delete only rows. */
  async remove(): Promise<{ positionIsLeft: boolean }> {
    this.#isRemoved = true;
    // A signal may have come in the middle of a save, which could commit after the removal.
    await this.#saving.catch(() => undefined);
    const positionIsLeft = !(await this.#removeAll());
    if (positionIsLeft) await this.#removeRows();
    const left = (await this.#readRows()).length;
    if (left > 0) throw new CheckFailure(`${left} rows are still there after deleting them`);
    return { positionIsLeft };
  }

  /** @returns false on an older server, which can't. */
  async #removeAll(): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        await sendCommand(this.#url, "remove_check", { ticker: this.ticker });
        return true;
      } catch (error) {
        if (!(error instanceof RefusedFailure)) throw error;
        if (error.status === STATUS.badRequest) return false;
        // Another writer may be busy.
        if (error.status !== STATUS.unavailable || tries === REMOVAL_TRIES) throw error;
        await Bun.sleep(REMOVAL_RETRY_MS);
      }
    }
  }

  async #removeRows(): Promise<void> {
    await sendCommand(this.#url, "execute_sql", {
      sql_query: "DELETE FROM realtime_data WHERE ticker = ?",
      query_type: "raw",
      query_params: [this.ticker],
    });
  }

  async #readRows(): Promise<unknown[]> {
    const body = await sendCommand(this.#url, "get_realtime_data", {
      ticker: this.ticker,
      data_type: "quote",
    });
    return Array.isArray(body.data) ? body.data : [];
  }
}

export async function measureLiveUpdates(options: {
  url: string;
  ticker: ThrowAwayTicker;
  workers: number;
}): Promise<LiveUpdatesReport> {
  const count = Math.min(
    SUBSCRIBERS_MAX,
    Math.max(SUBSCRIBERS_MIN, options.workers * SUBSCRIBERS_PER_WORKER),
  );
  const wsUrl = `${options.url.replace(/^http/, "ws")}/ws?symbol=${options.ticker.ticker}`;

  await options.ticker.saveBid(FIRST_BID);
  const opened = await Promise.allSettled(Array.from({ length: count }, () => subscribe(wsUrl)));
  const subscribers = opened.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  try {
    const savedAt = performance.now();
    const waits = subscribers.map((subscriber: Subscriber) => subscriber.awaitBid(SECOND_BID));
    const [received] = await Promise.all([Promise.allSettled(waits), options.ticker.saveBid(SECOND_BID)]);
    const failed = [...opened, ...received].find((outcome) => outcome.status === "rejected");
    const delaysMs = received.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value - savedAt] : [],
    );
    return {
      subscribers: count,
      received: delaysMs.length,
      averageMs: delaysMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, delaysMs.length),
      slowestMs: Math.max(0, ...delaysMs),
      firstFailure: failed === undefined ? null : String(failed.reason.message),
    };
  } finally {
    for (const subscriber of subscribers) subscriber.close();
  }
}
