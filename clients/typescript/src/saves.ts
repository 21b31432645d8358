/** Saves of many rows: split to what the server takes, each request sent until it is answered. */

import type { Connection } from "./connection.ts";
import { RequestError, type SaveCounts, SaveError } from "./errors.ts";
import { stringifyExact } from "./exact-json.ts";
import type { Bar, Moment, Quote, Saved, Trade } from "./generated/api.ts";
import { snakeCase } from "./question.ts";

/** A row to store: the columns of a stored one, of which only the stamp has to be there. */
type Sent<Row> = { symbol?: string; timestamp: Moment } & {
  [Name in Exclude<keyof Row, "symbol" | "timestamp">]?: Row[Name] | bigint | undefined;
};

export type SentBar = Sent<Bar>;
export type SentTrade = Sent<Omit<Trade, "id">> & { id?: string | number | bigint | null };
export type SentQuote = Sent<Omit<Quote, "id">> & { id?: string | number | bigint | null };

export interface Saving {
  /**
   * What save it is. The same rows under the same key, later or from another process, change
   * nothing. Default: another one each time.
   */
  key?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface SaveAnswer extends SaveCounts {
  /** The database in which positions count. */
  epoch: string | null;
  /** The newest position of each ticker that has changed. */
  positions: Record<string, number>;
  warnings: string[];
}

/** Such a request is stored as a whole, or not at all. */
const REQUEST_ROWS_MAX = 15_000;
/** A character has up to three bytes, and the server takes 10 MB by default. */
const REQUEST_CHARACTERS_MAX = 3_000_000;
const TOO_LARGE = 413;
const TIME_IS_UP = 504;

interface Slice {
  lines: string[];
  key: string;
}

export async function saveRows(
  server: Connection,
  path: string,
  rows: Iterable<object> | AsyncIterable<object>,
  options: Saving & object,
): Promise<SaveAnswer> {
  const { key = randomKey(), signal, ...parameters } = options;
  const query = queryOf(parameters);
  const total: SaveAnswer = {
    ...{ rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0 },
    ...{ epoch: null, positions: {}, warnings: [] },
  };
  const send = async ({ lines, key }: Slice): Promise<void> => {
    try {
      add(total, await postRows(server, { path, query, lines, key, signal }));
    } catch (error) {
      if (error instanceof RequestError && error.status === TOO_LARGE && lines.length > 1) {
        const half = lines.length >> 1;
        await send({ lines: lines.slice(0, half), key: `${key}.0` });
        await send({ lines: lines.slice(half), key: `${key}.1` });
        return;
      }
      throw failure(error, total, lines.length);
    }
  };
  try {
    for await (const slice of slicesOf(rows, key)) await send(slice);
  } catch (error) {
    // A row that can't be read or written as JSON: it was never sent.
    throw error instanceof SaveError ? error : failure(error, total, 0);
  }
  server.warn(total.warnings);
  return total;
}

/** One request, tried until it is answered: repetitions change nothing. */
export function postRows(
  server: Connection,
  request: {
    path: string;
    query: URLSearchParams;
    lines: readonly string[];
    key: string;
    signal?: AbortSignal | undefined;
    retryForMs?: number;
    onRetry?: (error: Error) => void;
  },
): Promise<Saved> {
  const { lines, key, ...rest } = request;
  return server.ask(
    {
      ...{ ...rest, body: lines.join("\n"), retried: [TIME_IS_UP] },
      headers: { "content-type": "application/x-ndjson", "idempotency-key": key },
    },
    async (answer) => (await answer.json()) as Saved,
  );
}

export function queryOf(parameters: object): URLSearchParams {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return new URLSearchParams(
    given.map(([name, value]): [string, string] => [snakeCase(name), String(value)]),
  );
}

export function add(total: SaveAnswer, saved: Saved): void {
  for (const name of ["rows", "stored", "replaced", "repeated", "skipped"] as const)
    total[name] += saved[name] ?? 0;
  total.epoch = saved.epoch ?? total.epoch;
  Object.assign(total.positions, saved.positions);
  total.warnings.push(...(saved.warnings ?? []));
}

/** Not of `crypto.randomUUID`, which pages without TLS lack. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function* slicesOf(
  rows: Iterable<object> | AsyncIterable<object>,
  key: string,
): AsyncGenerator<Slice, void, undefined> {
  let lines: string[] = [];
  let characters = 0;
  let number = 0;
  const slice = (): Slice => ({ lines, key: `${key}.${number++}` });
  for await (const row of rows) {
    const line = stringifyExact(row);
    if (
      lines.length === REQUEST_ROWS_MAX ||
      (lines.length > 0 && characters + line.length > REQUEST_CHARACTERS_MAX)
    ) {
      yield slice();
      lines = [];
      characters = 0;
    }
    lines.push(line);
    characters += line.length;
  }
  if (lines.length > 0) yield slice();
}

/** @param failedRows of the request that failed; 0: there was none. */
function failure(error: unknown, saved: SaveAnswer, failedRows: number): SaveError {
  const isUnknown = failedRows > 0 && !(error instanceof RequestError);
  const first = saved.rows + 1;
  const which =
    failedRows === 0 ? `row ${first} and later ones` : `rows ${first} to ${saved.rows + failedRows}`;
  const fate = failedRows === 0 ? "were not sent" : isUnknown ? "may be stored or not" : "were refused";
  const message = error instanceof Error ? error.message : String(error);
  const others = saved.rows === 0 ? "" : `; the ${saved.rows} rows before them are stored`;
  return new SaveError(`${which} ${fate}: ${message}${others}`, {
    saved,
    failedRows,
    isUnknown,
    cause: error,
  });
}
