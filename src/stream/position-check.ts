/**
 * Compares delivered positions with the database's. It finds a feed that has gone silent, and a
 * database that was exchanged.
 */

import { messageOf } from "../protocol/message-of.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import { within } from "../time/within.ts";

/** After this long without confirmation by the database, heartbeats say "unverified". */
const UNVERIFIED_MS = 5_000;
/** Tickers compared per check; the next check takes the next ones. */
const NAMED_MAX = 1_000;
/** With more tickers than this, the comparison of all runs at fewer checks. */
const ALL_MAX = 10_000;
/** Limit for comparisons by `missed` at once. */
const MISSED_MAX = 16;
/** Limit for one comparison. */
const ANSWER_MAX_MS = 10_000;

export interface PositionCheckOptions {
  updates: UpdateReader;
  named(): Iterable<string>;
  /** The number of known tickers if all are watched, else null. */
  all(): number | null;
  delivered(ticker: string): number;
  /** The position that subscribers have seen, which can never become lower; 0 if none. */
  fedPosition(ticker: string): number;
  /** The tickers with such a position. */
  fedTickers(): Iterable<string>;
  /** The database has this position, and it was not delivered yet. */
  note(ticker: string, position: number): void;
  /** The database is another one; everything told before is void. */
  replaced(why: string): void;
  warn(message: string): void;
}

export class PositionCheck {
  readonly #options: PositionCheckOptions;
  #epoch = "";
  /** When the database last confirmed the epoch; 0 while nothing is watched. */
  #verifiedMs = 0;
  #checking = false;
  /** Continues where the last check ended. */
  #nextNamed: Iterator<string> | null = null;
  #round = 0;
  #missed = 0;

  constructor(options: PositionCheckOptions) {
    this.#options = options;
  }

  /** The database's epoch as last read; empty before. */
  get epoch(): string {
    return this.#epoch;
  }

  get isVerified(): boolean {
    return this.#verifiedMs === 0 || performance.now() - this.#verifiedMs < UNVERIFIED_MS;
  }

  /** Called when the first watcher has just been told positions by the database. */
  confirmed(): void {
    if (this.#verifiedMs === 0) this.#verifiedMs = performance.now();
  }

  /** Asks the database each time: the epoch changes when its file is restored or exchanged. */
  async currentEpoch(): Promise<string> {
    const epoch = await this.#options.updates.epoch();
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== "" && epoch !== before) this.#options.replaced("The database is another one");
    return epoch;
  }

  /** Checks the next watched tickers. */
  async run(): Promise<void> {
    if (this.#checking) return;
    const { all, warn } = this.#options;
    const known = all();
    const tickers = this.#nextTickers();
    if (known === null && tickers.length === 0) this.#verifiedMs = 0;
    if (this.#epoch === "" || this.#verifiedMs === 0) return;
    this.#checking = true;
    try {
      await this.#withTimeout(this.#compare(tickers));
      if (known !== null && this.#round++ % Math.ceil(known / ALL_MAX || 1) === 0)
        await this.#withTimeout(this.#compare(null));
      this.#verifiedMs = performance.now();
    } catch (error) {
      warn(`Positions can't be checked: ${messageOf(error)}`);
    } finally {
      this.#checking = false;
    }
  }

  /** @param ticker null: all that are watched. */
  async missed(ticker: string | null): Promise<void> {
    // Without an epoch no client has been told anything yet. Beyond the limit, the regular check
    // finds the same.
    if (this.#epoch === "" || this.#missed >= MISSED_MAX) return;
    this.#missed++;
    try {
      if (ticker !== null) await this.#compare([ticker]);
      else if (this.#options.all() !== null) await this.#compare(null);
      else await this.#compare([...this.#options.named()]);
    } catch (error) {
      this.#options.warn(`Updates may have been missed, and the database doesn't say: ${messageOf(error)}`);
    } finally {
      this.#missed--;
    }
  }

  /** Empty only if no ticker is watched by name. */
  #nextTickers(): string[] {
    const tickers: string[] = [];
    const isAnew = this.#nextNamed === null;
    this.#nextNamed ??= this.#options.named()[Symbol.iterator]();
    while (tickers.length < NAMED_MAX) {
      const next = this.#nextNamed.next();
      if (next.done === true) {
        this.#nextNamed = null;
        // The last check ended exactly here, or later tickers are no longer watched.
        return tickers.length > 0 || isAnew ? tickers : this.#nextTickers();
      }
      tickers.push(next.value);
    }
    return tickers;
  }

  /** A comparison that hangs must not be the last. */
  async #withTimeout(comparison: Promise<void>): Promise<void> {
    await within(comparison, ANSWER_MAX_MS, () => {
      throw new Error(`no answer for ${ANSWER_MAX_MS / 1000} s`);
    });
  }

  async #compare(tickers: string[] | null): Promise<void> {
    const { updates, delivered, fedPosition, fedTickers, note, replaced } = this.#options;
    const before = this.#epoch;
    if ((await this.currentEpoch()) !== before) return;
    if (tickers !== null && tickers.length === 0) return;
    // Taken before the database is asked, so that a lower answer means another database.
    const fed = new Map<string, number>();
    for (const ticker of tickers ?? fedTickers()) fed.set(ticker, fedPosition(ticker));
    const read = updates.positions(tickers);
    const positions = read instanceof Promise ? await read : read;
    for (const [ticker, position] of positions) {
      if (position > delivered(ticker)) note(ticker, position);
      else if (position < (fed.get(ticker) ?? 0)) {
        replaced(`${ticker} is at position ${position} after it was at ${fed.get(ticker)}`);
        return;
      }
    }
  }
}
