/**
 * Bounds the reads of subscriptions that run at once. A storm of WebSockets waits here, and leaves
 * the database to other requests.
 */
import { unavailable } from "../protocol/errors.ts";
import type { UpdateReader } from "../storage/update-contract.ts";

const UNDER_WAY_MAX = 128;
const WAIT_MAX_MS = 10_000;

interface WaitingRead {
  deadlineMs: number;
  turn: PromiseWithResolvers<void>;
}

export interface StreamReads {
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
}

/** @param reads called at each read: the reader may not exist yet. */
export function inTurns(reads: () => StreamReads): StreamReads {
  const turns = new ReadTurns();
  return {
    latestPrice: (ticker) => turns.run(() => reads().latestPrice(ticker)),
    updates: {
      epoch: () => turns.run(() => reads().updates.epoch()),
      positions: (tickers) => turns.run(() => reads().updates.positions(tickers)),
      newest: (ticker) => turns.run(() => reads().updates.newest(ticker)),
      after: (ticker, after, limit) => turns.run(() => reads().updates.after(ticker, after, limit)),
      snapshot: (ticker) => turns.run(() => reads().updates.snapshot(ticker)),
    },
  };
}

export class ReadTurns {
  readonly #waiting = new Set<WaitingRead>();
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
    const waiter = { deadlineMs: performance.now() + WAIT_MAX_MS, turn: Promise.withResolvers<void>() };
    this.#waiting.add(waiter);
    await waiter.turn.promise;
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  /** Passes a finished read's turn on. */
  #next(): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter);
      if (performance.now() < waiter.deadlineMs) {
        waiter.turn.resolve();
        return;
      }
      waiter.turn.reject(unavailable("too many subscriptions wait for the database"));
    }
    this.#underWay--;
  }
}
