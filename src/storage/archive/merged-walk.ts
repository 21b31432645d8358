/**
 * A walk over what the database has and what was taken out of it into the archive, as one. Rows are
 * written into the archive before they are removed, so for a while they are in both, and those that
 * are saved late come to a period that has a file already.
 */
import { BatchCells } from "../column-cells.ts";
import { Int64s, StampReader } from "../column-values.ts";
import {
  type ColumnBatch,
  type ColumnData,
  type ColumnQuery,
  rowColumnNames,
  rowsOfBatch,
} from "../model/columns.ts";
import { kindOf, type SeriesRow, seriesColumns } from "../model/kinds.ts";
import { compareTexts } from "../series-order.ts";
import { batchOfRun, type SeriesRun } from "../series-runs.ts";
import { mergeOneStamp } from "./merged-ticks.ts";
import { RowCursor } from "./row-cursor.ts";

/** Greater than any `seq`: behind it lies the next stamp. */
const SEQ_END = 2 ** 53 - 1;

type Batches = AsyncIterator<ColumnBatch>;

/**
 * What both walks are asked for: all columns, as rows of one stamp are compared by all, and all
 * rows of a stamp. So no limit cuts one, and a page that begins within one is read from its first
 * row.
 */
export function widened(query: ColumnQuery): ColumnQuery {
  const kind = kindOf(query.kind);
  const { after = null, order } = query;
  const columns = [...seriesColumns(kind), ...rowColumnNames(query.kind)];
  const wide: ColumnQuery = { ...query, columns, bars: undefined };
  if (!kind.hasSeq) return wide;
  const before = order === "descending" ? SEQ_END : -1;
  return { ...wide, limit: null, after: after === null ? null : { ...after, seq: before } };
}

/** @param archived of `widened`, as `stored`. */
export async function* mergedWalk(
  query: ColumnQuery,
  archived: Batches,
  stored: Batches,
): AsyncGenerator<ColumnBatch> {
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  for await (const batch of new Merge(query, archived, stored).batches()) {
    const rows = Math.min(left, batch.rows);
    left -= rows;
    if (rows > 0) yield narrowed(query, rows < batch.rows ? cut(batch, rows) : batch);
    if (left === 0) return;
  }
}

function cut(batch: ColumnBatch, rows: number): ColumnBatch {
  return batchOfRun(batch, { ticker: "", part: null, start: 0, end: rows });
}

/** With the columns asked for alone. */
export function narrowed({ columns }: ColumnQuery, batch: ColumnBatch): ColumnBatch {
  const picked = columns.map((name): [string, ColumnData] => [name, batch.columns.get(name)!]);
  return { rows: batch.rows, columns: new Map(picked) };
}

class Merge {
  readonly #query: ColumnQuery;
  readonly #archived: RowCursor;
  readonly #stored: RowCursor;
  readonly #descends: boolean;
  /** The stamp within which the page begins; null: it begins with one. */
  readonly #afterStamp: bigint | null;

  constructor(query: ColumnQuery, archived: Batches, stored: Batches) {
    this.#query = query;
    this.#descends = query.order === "descending";
    const form = { kind: query.kind, descends: this.#descends };
    this.#archived = new RowCursor(archived, form);
    this.#stored = new RowCursor(stored, form);
    const isWithin = query.after != null && kindOf(query.kind).hasSeq;
    this.#afterStamp = isWithin ? exactMicros(query.after!.stamp) : null;
  }

  async *batches(): AsyncGenerator<ColumnBatch> {
    try {
      for (;;) {
        const [archived, stored] = [await this.#archived.series(), await this.#stored.series()];
        if (archived === null && stored === null) return;
        const order = seriesOrder(archived, stored);
        if (order === 0) yield* this.#next(archived!);
        else if (order < 0) yield* this.#alone(this.#archived, archived!);
        else yield* this.#alone(this.#stored, stored!);
      }
    } finally {
      await Promise.all([this.#archived.close(), this.#stored.close()]);
    }
  }

  async *#alone(cursor: RowCursor, run: SeriesRun): AsyncGenerator<ColumnBatch> {
    if (this.#isFirstStamp(run, cursor.stamp)) yield* this.#group(run, cursor.stamp);
    else {
      const batch = cursor.take(null);
      if (batch !== null) yield batch;
    }
  }

  /** Both have rows of the series. */
  async *#next(run: SeriesRun): AsyncGenerator<ColumnBatch> {
    const [archived, stored] = [this.#archived.stamp, this.#stored.stamp];
    const isFirst = archived === stored || archived < stored !== this.#descends;
    const [cursor, at, other] = isFirst
      ? [this.#archived, archived, stored]
      : [this.#stored, stored, archived];
    if (archived === stored || this.#isFirstStamp(run, at)) yield* this.#group(run, at);
    else yield cursor.take(other)!;
  }

  #isFirstStamp({ ticker, part }: SeriesRun, stamp: bigint): boolean {
    const { after } = this.#query;
    return stamp === this.#afterStamp && ticker === after!.ticker && part === after!.part;
  }

  /** The rows of one stamp, of both. */
  async *#group(run: SeriesRun, stamp: bigint): AsyncGenerator<ColumnBatch> {
    const { kind } = this.#query;
    const archived = await this.#rowsOf(this.#archived, run, stamp);
    const stored = await this.#rowsOf(this.#stored, run, stamp);
    // What was saved last is in the database.
    if (!kindOf(kind).hasSeq) yield this.#batchOf(run, stored.length > 0 ? stored : archived);
    else {
      const rows = mergeOneStamp(archived, stored).filter((row) => this.#isBehind(run, stamp, row));
      if (rows.length > 0) yield this.#batchOf(run, this.#descends ? rows.reverse() : rows);
    }
  }

  async #rowsOf(cursor: RowCursor, run: SeriesRun, stamp: bigint): Promise<SeriesRow[]> {
    const rows: SeriesRow[] = [];
    for (;;) {
      const series = await cursor.series();
      if (series === null || seriesOrder(series, run) !== 0 || cursor.stamp !== stamp) return rows;
      rows.push(...rowsOfBatch(this.#query.kind, cursor.takeStamp()));
    }
  }

  #isBehind(run: SeriesRun, stamp: bigint, row: SeriesRow): boolean {
    if (!this.#isFirstStamp(run, stamp)) return true;
    const [seq, after] = [Number(row.at(-1)), this.#query.after!.seq!];
    return this.#descends ? seq < after : seq > after;
  }

  #batchOf({ ticker, part }: SeriesRun, rows: readonly SeriesRow[]): ColumnBatch {
    const kind = kindOf(this.#query.kind);
    const names = [...seriesColumns(kind), ...rowColumnNames(this.#query.kind)];
    const cells = new BatchCells(kind, names, rows.length);
    const series = kind.part === null ? [ticker] : [ticker, part];
    for (const row of rows) cells.add([...series, ...row]);
    return cells.end();
  }
}

/** @param stamp in canonical text. */
function exactMicros(stamp: string): bigint {
  const micros = new Int64s(1);
  new StampReader().read(stamp, micros, 0);
  return micros.values[0]!;
}

/** As the walk goes through them. Null: there is no more, which comes last. */
function seriesOrder(a: SeriesRun | null, b: SeriesRun | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return compareTexts(a.ticker, b.ticker) || compareTexts(a.part ?? "", b.part ?? "");
}
