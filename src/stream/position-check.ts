/**
 * Compares what was delivered with what the database holds: a feed that has become mute is found,
 * whatever the reason, and so is another database.
 */

import { messageOf } from "../protocol/message-of.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import { within } from "../time/within.ts";

/** A heartbeat says so when the database has not confirmed the positions for this long. */
const UNVERIFIED_MS = 5_000;
/** Tickers watched by name that are compared at once: the next ones come at the next check. */
const NAMED_MAX = 1_000;
/** Where all are watched and they are more than this, they are compared at fewer checks. */
const ALL_MAX = 10_000;
/** Of comparisons that were asked for, under way at once. */
const MISSED_MAX = 16;
/** A database that doesn't answer for so long is asked again. */
const ANSWER_MAX_MS = 10_000;

export interface PositionCheckOptions {
  updates: UpdateReader;
  /** Tickers that are watched by name. */
  named(): Iterable<string>;
  /** How many tickers are known, if all are watched; else null. */
  all(): number | null;
  delivered(ticker: string): number;
  /**
   * The position that subscribers have seen the ticker at, and that can't be lower than this; 0
   * where there is none.
   */
  fedPosition(ticker: string): number;
  /** Those that have one. */
  fedTickers(): Iterable<string>;
  /** The database has this position, which was not delivered yet. */
  note(ticker: string, position: number): void;
  /** The database is not the one that it was: all that was told before is void. */
  replaced(why: string): void;
  warn(message: string): void;
}

export class PositionCheck {
  readonly #options: PositionCheckOptions;
  #epoch = "";
  /** When the database last said that this is the epoch. */
  #verifiedMs = 0;
  #checking = false;
  /** Goes on where the last check ended, through what is watched by then. */
  #nextNamed: Iterator<string> | null = null;
  #round = 0;
  #missed = 0;

  constructor(options: PositionCheckOptions) {
    this.#options = options;
  }

  /** As last read; empty before. */
  get epoch(): string {
    return this.#epoch;
  }

  get isVerified(): boolean {
    return this.#verifiedMs === 0 || performance.now() - this.#verifiedMs < UNVERIFIED_MS;
  }

  /** The database has just told positions to somebody who is the first to watch. */
  confirmed(): void {
    if (this.#verifiedMs === 0) this.#verifiedMs = performance.now();
  }

  /** Asked anew: it changes under a server whose database is set back or exchanged. */
  async currentEpoch(): Promise<string> {
    const epoch = await this.#options.updates.epoch();
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== "" && epoch !== before) this.#options.replaced("The database is another one");
    return epoch;
  }

  /** Of all that is watched, or the next of it. */
  async run(): Promise<void> {
    if (this.#checking) return;
    const { all, warn } = this.#options;
    const known = all();
    const tickers = this.#nextOf();
    if (known === null && tickers.length === 0) this.#verifiedMs = 0;
    if (this.#epoch === "" || this.#verifiedMs === 0) return;
    this.#checking = true;
    try {
      await this.#inTime(this.#compare(tickers));
      if (known !== null && this.#round++ % Math.ceil(known / ALL_MAX || 1) === 0)
        await this.#inTime(this.#compare(null));
      this.#verifiedMs = performance.now();
    } catch (error) {
      warn(`Positions can't be checked: ${messageOf(error)}`);
    } finally {
      this.#checking = false;
    }
  }

  /** @param ticker null: all that are watched. */
  async missed(ticker: string | null): Promise<void> {
    // Before, nobody has been told anything; many at once would find the same as the check that
    // comes anyway.
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

  /** Empty only where nothing is watched by name. */
  #nextOf(): string[] {
    const tickers: string[] = [];
    const isAnew = this.#nextNamed === null;
    this.#nextNamed ??= this.#options.named()[Symbol.iterator]();
    while (tickers.length < NAMED_MAX) {
      const next = this.#nextNamed.next();
      if (next.done === true) {
        this.#nextNamed = null;
        // The last check ended with the last ticker, or those after it are not watched any more.
        return tickers.length > 0 || isAnew ? tickers : this.#nextOf();
      }
      tickers.push(next.value);
    }
    return tickers;
  }

  /** One that hangs must not be the last. */
  async #inTime(comparison: Promise<void>): Promise<void> {
    await within(comparison, ANSWER_MAX_MS, () => {
      throw new Error(`no answer for ${ANSWER_MAX_MS / 1000} s`);
    });
  }

  async #compare(tickers: string[] | null): Promise<void> {
    const { updates, delivered, fedPosition, fedTickers, note, replaced } = this.#options;
    const before = this.#epoch;
    if ((await this.currentEpoch()) !== before) return;
    if (tickers !== null && tickers.length === 0) return;
    // As they are before the database is asked.
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
