/** Spans of what a request waits for: reads, saves, edits and statements of SQL. */
import type { ChildSpan, SpanAttributes } from "../observe/traces/trace.ts";
import { RequestError } from "../protocol/errors.ts";
import { withoutLiterals } from "../sql/without-literals.ts";
import type { EditOutcome, JsonRows, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { CommandContext } from "./context.ts";

/** Of a statement, without its values. */
const SQL_CHARACTERS_MAX = 1_000;

/** @param kind of the rows; null where there is none. */
type BeginSpan = (operation: string, kind: string | null, attributes?: SpanAttributes) => ChildSpan;

/** The same context, of one request. */
export function tracedContext(context: CommandContext, begin: BeginSpan): CommandContext {
  return {
    ...context,
    reader: new TracedReader(context.reader, begin),
    async save(save, ...rest) {
      const span = begin("save", save.kind, { "stock_db.rows": save.rows.length });
      return await during(span, () => context.save(save, ...rest), endOutcome);
    },
    saveTogether:
      context.saveTogether === null
        ? null
        : async (saves, ...rest) => {
            const rows = saves.reduce((sum, save) => sum + save.rows.length, 0);
            const span = begin("save", saves[0]?.kind ?? null, { "stock_db.rows": rows });
            return await during(
              span,
              () => context.saveTogether!(saves, ...rest),
              (ended, outcomes) => endOutcome(ended, outcomes.find(({ ok }) => !ok) ?? outcomes[0]),
            );
          },
    async edit(edit, call) {
      const span = begin(edit.what, edit.what === "removal" ? edit.kind : null);
      return await during(span, () => context.edit(edit, call), endOutcome);
    },
    async executeSql(request) {
      const sql = withoutLiterals(request.sql, SQL_CHARACTERS_MAX);
      const span = begin("execute_sql", null, { "db.query.text": sql.toWellFormed() });
      return await during(
        span,
        () => context.executeSql(request),
        (ended, { rows }) => endRows(ended, rows),
      );
    },
    async removeCheck(ticker) {
      await during(begin("remove_check", null), () => context.removeCheck(ticker));
    },
  };
}

/** Begins no span for what every engine knows at once. */
class TracedReader implements StockReader {
  readonly updates: UpdateReader;
  /** Absent where the reader has none. */
  readonly prices?: NonNullable<StockReader["prices"]>;
  readonly #reader: StockReader;
  readonly #begin: BeginSpan;

  constructor(reader: StockReader, begin: BeginSpan) {
    this.#reader = reader;
    this.#begin = begin;
    this.updates = tracedUpdates(reader, begin);
    const { prices } = reader;
    if (prices !== undefined)
      this.prices = (question, tickers, day) =>
        during(
          begin(question, null),
          () => prices.call(reader, question, tickers, day),
          (span) => endRows(span, tickers.length),
        );
  }

  rows: StockReader["rows"] = (range, signal) => {
    const span = this.#begin("rows", range.kind);
    return endedRows(span, () => this.#reader.rows(range, signal));
  };

  newest: StockReader["newest"] = (query) => {
    const span = this.#begin("newest", query.kind);
    return endedRows(span, () => this.#reader.newest(query));
  };

  newestOfParts: StockReader["newestOfParts"] = (query, signal) => {
    const span = this.#begin("newestOfParts", query.kind);
    return endedRows(span, () => this.#reader.newestOfParts(query, signal));
  };

  columns: StockReader["columns"] = (query) => tracedColumns(this.#reader, query, this.#begin);
  latestPrice: StockReader["latestPrice"] = (...of) =>
    during(this.#begin("latestPrice", null), () => this.#reader.latestPrice(...of));
  previousClose: StockReader["previousClose"] = (...of) =>
    during(this.#begin("previousClose", null), () => this.#reader.previousClose(...of));
  openingPrice: StockReader["openingPrice"] = (...of) =>
    during(this.#begin("openingPrice", null), () => this.#reader.openingPrice(...of));
  dailyVolume: StockReader["dailyVolume"] = (...of) =>
    during(this.#begin("dailyVolume", null), () => this.#reader.dailyVolume(...of));
  parts: StockReader["parts"] = (kind, ticker) =>
    during(this.#begin("parts", kind), () => this.#reader.parts(kind, ticker));
  tickers: StockReader["tickers"] = (kind, ...of) =>
    during(
      this.#begin("tickers", kind),
      () => this.#reader.tickers(kind, ...of),
      (span, found) => endRows(span, found.length),
    );

  notes: StockReader["notes"] = (...of) => this.#reader.notes(...of);
  sizeBytes: StockReader["sizeBytes"] = () => this.#reader.sizeBytes();
  probe: StockReader["probe"] = (via) => this.#reader.probe(via);
  pool: StockReader["pool"] = () => this.#reader.pool();
  close: StockReader["close"] = () => undefined;
}

function tracedUpdates({ updates }: StockReader, begin: BeginSpan): UpdateReader {
  const kind = "updates";
  return {
    epoch: () => updates.epoch(),
    keptSinceMs: () => updates.keptSinceMs(),
    logBytes: () => updates.logBytes(),
    newest: (ticker) => updates.newest(ticker),
    positions: (tickers) => during(begin("positions", kind), () => updates.positions(tickers)),
    after: (...of) =>
      during(
        begin("after", kind),
        () => updates.after(...of),
        (span, found) => endRows(span, found.length),
      ),
    snapshot: (ticker) => during(begin("snapshot", kind), () => updates.snapshot(ticker)),
  };
}

async function* tracedColumns(
  reader: Pick<StockReader, "columns">,
  query: ColumnQuery,
  begin: BeginSpan,
): AsyncGenerator<ColumnBatch> {
  const span = begin("columns", query.kind);
  let rows = 0;
  try {
    for await (const batch of reader.columns(query)) {
      rows += batch.rows;
      yield batch;
    }
  } catch (error) {
    span.fail(typeOf(error));
    throw error;
  } finally {
    endRows(span, rows);
  }
}

/** @param end of the span, where the result says something of it. */
function during<T>(
  span: ChildSpan,
  act: () => T,
  end: (span: ChildSpan, result: Awaited<T>) => void = (ended) => ended.end(),
): T {
  const fail = (error: unknown): never => {
    span.fail(typeOf(error));
    throw error;
  };
  try {
    const result = act();
    if (!(result instanceof Promise)) {
      end(span, result as Awaited<T>);
      return result;
    }
    return result.then((value: Awaited<T>) => {
      end(span, value);
      return value;
    }, fail) as T;
  } catch (error) {
    return fail(error);
  }
}

/** To the last of the pieces. */
function endedRows<T extends JsonRows | Promise<JsonRows>>(
  span: ChildSpan,
  act: () => T,
): T | JsonRows | Promise<JsonRows> {
  const watched = (found: JsonRows): JsonRows => {
    if (found.empty || "text" in found) {
      span.end();
      return found;
    }
    return { empty: false, chunks: new TracedPieces(found.chunks, span) };
  };
  const found = during(span, act, () => undefined);
  return found instanceof Promise ? found.then(watched) : watched(found);
}

/** Not a generator: `return()` before the first `next()` must reach what gives the pieces. */
class TracedPieces implements AsyncIterableIterator<string | Uint8Array> {
  readonly #pieces: AsyncIterator<string | Uint8Array>;
  readonly #span: ChildSpan;

  constructor(pieces: AsyncIterable<string | Uint8Array>, span: ChildSpan) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#span = span;
  }

  async next(): Promise<IteratorResult<string | Uint8Array>> {
    try {
      const step = await this.#pieces.next();
      if (step.done === true) this.#span.end();
      return step;
    } catch (error) {
      this.#span.fail(typeOf(error));
      throw error;
    }
  }

  async return(): Promise<IteratorResult<string | Uint8Array>> {
    this.#span.end();
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function endRows(span: ChildSpan, rows: number): void {
  span.attributes["db.response.returned_rows"] = rows;
  span.end();
}

function endOutcome(span: ChildSpan, outcome: SaveOutcome | EditOutcome | undefined): void {
  if (outcome === undefined || outcome.ok) span.end();
  else span.fail(String(outcome.status));
}

/** Messages may hold values of clients. */
function typeOf(error: unknown): string {
  if (error instanceof RequestError) return String(error.status);
  return error instanceof Error ? error.name : "Error";
}
