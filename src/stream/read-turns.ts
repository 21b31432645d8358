/**
 * Bounds the reads of all subscriptions that are under way, on a database that answers later. A
 * storm of WebSockets waits here, and leaves the database to the requests of others.
 */
import { unavailable } from "../protocol/errors.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import { WaitingLine } from "../storage/waiting-line.ts";

const UNDER_WAY_MAX = 128;
const WAIT_MAX_MS = 10_000;

export interface StreamReads {
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
}

/** @param reads called for each read, as the database may not be open yet. */
export function inTurns(reads: () => StreamReads): StreamReads {
  const turns = new ReadTurns();
  return {
    latestPrice: (ticker) => turns.run(() => reads().latestPrice(ticker)),
    updates: {
      epoch: () => turns.run(() => reads().updates.epoch()),
      positions: (tickers) => turns.run(() => reads().updates.positions(tickers)),
      newest: (ticker) => turns.run(() => reads().updates.newest(ticker)),
      after: (ticker, after, limit) => turns.run(() => reads().updates.after(ticker, after, limit)),
      logBytes: () => turns.run(() => reads().updates.logBytes()),
      keptSinceMs: () => turns.run(() => reads().updates.keptSinceMs()),
      snapshot: (ticker) => turns.run(() => reads().updates.snapshot(ticker)),
    },
  };
}

export class ReadTurns {
  readonly #line = new WaitingLine({});
  #underWay = 0;

  /** Takes a turn unless `read` answers at once. @throws RequestError 503 no turn in time. */
  run<T>(read: () => T | Promise<T>): T | Promise<T> {
    if (this.#underWay >= UNDER_WAY_MAX) return this.#later(read);
    const result = read();
    if (!(result instanceof Promise)) return result;
    this.#underWay++;
    return result.finally(() => this.#next());
  }

  async #later<T>(read: () => T | Promise<T>): Promise<T> {
    const late = (): Error => unavailable("too many subscriptions wait for the database");
    await this.#line.wait(WAIT_MAX_MS, undefined, { late });
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  /** Passes a finished read's turn on. */
  #next(): void {
    if (!this.#line.give()) this.#underWay--;
  }
}
