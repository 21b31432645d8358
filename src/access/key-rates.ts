/**
 * What a key may do in a window of time: its requests, the rows that it reads and writes, and the
 * bytes that it sends and receives.
 */
import { tooMany } from "../protocol/errors.ts";
import type { Caller } from "./key-ring.ts";
import { type Rate, RateBoard, type RateState } from "./rate-board.ts";

export class KeyRates {
  readonly #requests: RateBoard;
  readonly #rows: RateBoard;
  readonly #bytes: RateBoard;

  constructor(runtimeDir: string) {
    this.#requests = new RateBoard(runtimeDir, "rates");
    this.#rows = new RateBoard(runtimeDir, "rows");
    this.#bytes = new RateBoard(runtimeDir, "bytes");
  }

  /** Counts one more. @returns null: the key has no rate. */
  countRequest({ hash, rate }: Caller): RateState | null {
    return rate === null ? null : this.#requests.count(hash!, rate, 1);
  }

  /**
   * @param requests as `countRequest` has told.
   * @throws RequestError 429 for one request too many, or after too many rows or bytes.
   */
  check({ name, hash, rows, bytes }: Caller, requests: RateState | null): void {
    if (requests !== null && requests.count > requests.rate.max)
      throw tooManyOf(`sent ${requests.rate.max} requests`, name, requests);
    const counted = rows === null ? null : this.#rows.count(hash!, rows, 0);
    // The answer that passes the bound is given in full: how many rows it has is known late.
    if (counted !== null && counted.count >= counted.rate.max)
      throw tooManyOf(`read and written ${counted.count} rows, of ${counted.rate.max},`, name, counted);
    const moved = bytes === null ? null : this.#bytes.count(hash!, bytes, 0);
    if (moved !== null && moved.count >= moved.rate.max)
      throw tooManyOf(`sent and received ${moved.count} bytes, of ${moved.rate.max},`, name, moved);
  }

  /** What counts rows that the caller reads and writes. Null: they have no bound. */
  noteRows({ hash, rows }: Caller): ((count: number) => void) | null {
    if (rows === null) return null;
    const rate: Rate = rows;
    return (count) => void this.#rows.count(hash!, rate, count);
  }

  /** What counts bytes that the caller sends and receives. Null: they have no bound. */
  noteBytes({ hash, bytes }: Caller): ((count: number) => void) | null {
    if (bytes === null) return null;
    const rate: Rate = bytes;
    return (count) => void this.#bytes.count(hash!, rate, count);
  }
}

function tooManyOf(what: string, name: string, { rate, leftMs }: RateState): Error {
  return tooMany(`the key ${name} has ${what} within ${rate.windowMs / 1_000} s, expected no more`, {
    retryAfterS: Math.ceil(leftMs / 1_000),
  });
}
