/** Compares what was delivered with what the database holds: a feed that has become mute is found, whatever the reason, and so is another database. */
import type { UpdateReader } from "../storage/update-contract.ts";

/** A heartbeat says so when the database has not confirmed the positions for this long. */
const UNVERIFIED_MS = 5_000;
/** Tickers compared at once: the next ones come at the next check. */
const CHECK_TICKERS_MAX = 1_000;

export interface PositionCheckOptions {
  updates: UpdateReader;
  /** Tickers; null: all of them. */
  watched(): string[] | null;
  /** How many tickers are known. */
  known(): number;
  delivered(ticker: string): number;
  /** Of those tickers whose positions the subscribers have seen grow, and that can't be lower than this. */
  fedPositions(): Map<string, number>;
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
  #checkFrom = 0;

  constructor(options: PositionCheckOptions) {
    this.#options = options;
  }

  /** As last read; empty before. */
  get epoch(): string {
    return this.#epoch;
  }

  get isVerified(): boolean {
    return performance.now() - this.#verifiedMs < UNVERIFIED_MS;
  }

  /** Asked anew: it changes under a server whose database is set back or exchanged. */
  async currentEpoch(): Promise<string> {
    const epoch = await this.#options.updates.epoch();
    this.#verifiedMs = performance.now();
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== "" && epoch !== before) this.#options.replaced("The database is another one");
    return epoch;
  }

  /** Of all that is watched, or the next of it. */
  async run(): Promise<void> {
    if (this.#checking || this.#epoch === "" || this.#options.watched()?.length === 0) return;
    this.#checking = true;
    try {
      await this.#compare(this.#nextToCheck());
    } catch (error) {
      this.#options.warn(`Positions can't be checked: ${wordsOf(error)}`);
    } finally {
      this.#checking = false;
    }
  }

  /** @param ticker null: all that are watched. */
  async missed(ticker: string | null): Promise<void> {
    if (this.#epoch === "") return; // nobody has been told anything yet
    try {
      await this.#compare(ticker === null ? this.#options.watched() : [ticker]);
    } catch (error) {
      // The check that comes anyway will do it.
      this.#options.warn(`Updates may have been missed, and the database doesn't say: ${wordsOf(error)}`);
    }
  }

  /** Of many tickers some at a time; of all of them, where they are many, now and then. */
  #nextToCheck(): string[] | null {
    const watched = this.#options.watched();
    const count = watched?.length ?? this.#options.known();
    if (count <= CHECK_TICKERS_MAX) return watched;
    if (this.#checkFrom >= count) this.#checkFrom = 0;
    const from = this.#checkFrom;
    this.#checkFrom += CHECK_TICKERS_MAX;
    if (watched !== null) return watched.slice(from, from + CHECK_TICKERS_MAX);
    return from === 0 ? null : [];
  }

  async #compare(tickers: string[] | null): Promise<void> {
    const { updates, delivered, fedPositions, note, replaced } = this.#options;
    const before = this.#epoch;
    if ((await this.currentEpoch()) !== before) return;
    if (tickers !== null && tickers.length === 0) return;
    const fed = fedPositions();
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

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
