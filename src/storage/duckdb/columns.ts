/**
 * Rows as columns: DuckDB's own vectors, copied out of streamed chunks, within one transaction.
 *
 * Which series there are, and how many rows each has, is asked first. So tickers and parts never
 * leave DuckDB, and a stream that fails half way is found out, which ends as if it were complete.
 *
 * Sorting takes many times as long as reading. Rows of a feed are stored in order of their stamps:
 * a long series is read by itself, and sorted only if a look at it finds a row out of order.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { TransferRowError } from "../contract.ts";
import type { ColumnBatch, ColumnQuery, RowKey, WalkPositions } from "../model/columns.ts";
import { kindOf, type RowKind, seriesLabel } from "../model/kinds.ts";
import { seqOf, storedStamp } from "../transfer-rows.ts";
import { BatchBuilder, type StoredSeries } from "./column-batch.ts";
import { seriesSql } from "./distinct-values.ts";
import { storable } from "./lines.ts";
import type { Snapshot } from "./read-sessions.ts";
import type { Param, Session } from "./session.ts";
import {
  boundsOf,
  instant,
  readStoredColumns,
  type StoredColumns,
  stampSql,
  valueSql,
} from "./stored-columns.ts";
import { readAllPlaces, readPlaces } from "./update-log.ts";

/** Eight of DuckDB's vectors. */
const BATCH_ROWS = 16_384;
/** A series with so many rows is worth a look at its order, and a scan of the table for itself. */
const LONG_ROWS = 20_000;
/** Rows of shorter series that are sorted at once, some 100 MB. */
const SORTED_ROWS = 1_000_000;

/** @param begin a transaction for this walk alone. */
export async function* readColumns(
  begin: () => Promise<Snapshot>,
  query: ColumnQuery,
): AsyncGenerator<ColumnBatch> {
  const { signal } = query;
  signal?.throwIfAborted();
  const snapshot = await begin();
  const interrupt = (): void => snapshot.interrupt();
  signal?.addEventListener("abort", interrupt);
  try {
    signal?.throwIfAborted();
    query.onPositions?.(await snapshot.call((session) => positionsIn(session, query.tickers)));
    const walk = await Walk.begin(snapshot, query);
    if (walk !== null) yield* walk.batches();
  } catch (error) {
    signal?.throwIfAborted();
    throw refusalOf(error, query);
  } finally {
    signal?.removeEventListener("abort", interrupt);
    await snapshot.release();
  }
}

async function positionsIn(session: Session, tickers: readonly string[] | null): Promise<WalkPositions> {
  const [row] = await session.rows("SELECT epoch FROM update_epoch LIMIT 1");
  const places =
    tickers === null ? await readAllPlaces(session) : await readPlaces(session, tickers.map(storable));
  const position = (ticker: string): [string, number] => [ticker, places.get(storable(ticker))?.seq ?? 0];
  const found = (tickers ?? [...places.keys()]).map(position);
  return { epoch: String(row?.[0]), positions: new Map(found.filter(([, seq]) => seq > 0)) };
}

function refusalOf(error: unknown, { kind, tickers, parts }: ColumnQuery): unknown {
  if (!(error instanceof Error) || !/^(Conversion|Binder) Error:/.test(error.message)) return error;
  const whose = tickers?.length === 1 ? `${tickers[0]} ` : "";
  return new TransferRowError(
    `${whose}${seriesLabel(kind, parts?.length === 1 ? parts[0]! : null)}: ${error.message.split("\n")[0]}`,
  );
}

class Walk {
  readonly #snapshot: Snapshot;
  readonly #query: ColumnQuery;
  readonly #kind: RowKind;
  readonly #at: string;
  readonly #hasSeq: boolean;
  /** The rows that are asked for, with a `seq`. */
  readonly #source: string;
  readonly #params: Param[];
  readonly #select: string;

  private constructor(snapshot: Snapshot, query: ColumnQuery, there: StoredColumns) {
    const kind = kindOf(query.kind);
    const isDate = kind.stamp.type === "date";
    const at = instant(kind.stamp.name, there);
    const [first, last] = boundsOf(isDate);
    this.#snapshot = snapshot;
    this.#query = query;
    this.#kind = kind;
    this.#at = at.sql;
    this.#hasSeq = kind.hasSeq && there.has("seq");
    this.#params = [query.from ?? first, query.to ?? last];
    const filters = [
      ...seriesSql(kind).map((column) => `${column} IS NOT NULL`),
      `${at.sql} >= $1::${at.type}`,
      `${at.sql} <= $2::${at.type}`,
    ];
    if (query.tickers !== null) {
      this.#params.push(JSON.stringify(query.tickers.map(storable)));
      filters.push(`ticker IN (SELECT unnest(from_json($${this.#params.length}::VARCHAR, '["VARCHAR"]')))`);
    }
    if (query.parts !== null && kind.part !== null) {
      this.#params.push(JSON.stringify(query.parts.map(storable)));
      filters.push(
        `"${kind.part}" IN (SELECT unnest(from_json($${this.#params.length}::VARCHAR, '["VARCHAR"]')))`,
      );
    }
    const rows = `${kind.table} WHERE ${filters.join(" AND ")}`;
    // Ticks that share a stamp become 0, 1, 2 … in the order stored, as an upgrade of the file
    // makes them.
    const source =
      !kind.hasSeq || this.#hasSeq
        ? rows
        : `(SELECT *, row_number() OVER (PARTITION BY ${[...seriesSql(kind), at.sql].join(", ")}
             ORDER BY rowid) - 1 AS seq FROM ${rows}) WHERE true`;
    this.#source = query.after == null ? source : `${source} AND ${this.#behindSql(query.after, at)}`;
    const sqlOf = (column: string): string => {
      if (column === kind.stamp.name) return stampSql(kind, at);
      if (column === "seq") return "seq::BIGINT";
      return valueSql(kind.values.find(({ name }) => name === column)!, there);
    };
    const read = query.columns.filter((column) => column !== "ticker" && column !== kind.part);
    this.#select = read.length === 0 ? "true" : read.map(sqlOf).join(", ");
  }

  /** Null: there is no table. */
  static async begin(snapshot: Snapshot, query: ColumnQuery): Promise<Walk | null> {
    const { table } = kindOf(query.kind);
    const there = await snapshot.call((session) => readStoredColumns(session, table));
    return there === null ? null : new Walk(snapshot, query, there);
  }

  /** Adds to the parameters. The bound of the ticker alone lets DuckDB skip what lies before it. */
  #behindSql({ ticker, part, stamp, seq }: RowKey, at: { sql: string; type: string }): string {
    const param = (value: string, type: string): string => `$${this.#params.push(value)}::${type}`;
    const than = this.#query.order === "descending" ? "<" : ">";
    const name = param(storable(ticker), "VARCHAR");
    const moment = param(stamp, at.type);
    let behind = `${at.sql} ${than} ${moment}`;
    if (this.#kind.hasSeq)
      behind = `(${behind} OR (${at.sql} = ${moment} AND seq ${than} ${param(String(seq), "BIGINT")}))`;
    if (this.#kind.part !== null) {
      const column = `"${this.#kind.part}"`;
      const value = param(storable(part ?? ""), "VARCHAR");
      behind = `(${column} > ${value} OR (${column} = ${value} AND ${behind}))`;
    }
    return `ticker >= ${name} AND (ticker > ${name} OR ${behind})`;
  }

  async *batches(): AsyncGenerator<ColumnBatch> {
    const { signal } = this.#query;
    let builder = new BatchBuilder(this.#query, BATCH_ROWS);
    const series = firstOf(await this.#series(), this.#query.limit ?? null);
    for (const run of runsOf(series)) {
      const spans = new Spans(run);
      for await (const chunk of this.#chunksOf(run)) {
        if (builder.rows + chunk.rowCount > BATCH_ROWS) {
          yield builder.finish();
          builder = new BatchBuilder(this.#query, BATCH_ROWS);
        }
        builder.add(chunk, spans.next(chunk.rowCount));
        signal?.throwIfAborted();
      }
    }
    if (builder.rows > 0) yield builder.finish();
  }

  /** Each is asked for while the one before is taken apart. */
  async *#chunksOf(run: StoredSeries[]): AsyncGenerator<DuckDBDataChunk> {
    const snapshot = this.#snapshot;
    const { sql, params } = await this.#statementOf(run);
    let left = rowsOf(run);
    const result = await snapshot.call((session) => session.stream(sql, params));
    const fetch = (): Promise<DuckDBDataChunk | null> => {
      const chunk = snapshot.call(() => result.fetchChunk());
      chunk.catch(() => null);
      return chunk;
    };
    let ahead = fetch();
    try {
      while (left > 0) {
        const chunk = await ahead;
        if (chunk === null || chunk.rowCount === 0) {
          // Asked once more without a stream, it says what is wrong.
          this.#query.signal?.throwIfAborted();
          await snapshot.call((session) => session.run(`SELECT max(hash(COLUMNS(*))) FROM (${sql})`, params));
          throw new Error(`DuckDB ended a result ${left} rows early`);
        }
        left -= chunk.rowCount;
        if (left > 0) ahead = fetch();
        yield chunk;
      }
    } finally {
      await ahead.catch(() => null);
    }
  }

  async #statementOf(run: StoredSeries[]): Promise<{ sql: string; params: Param[] }> {
    const series = seriesSql(this.#kind);
    const params = [...this.#params];
    const key = ({ ticker, part }: StoredSeries): string[] => {
      const names = this.#kind.part === null ? [ticker] : [ticker, part];
      return names.map((name) => `$${params.push(name)}::VARCHAR`);
    };
    const isOne = run.length === 1;
    const first = key(run[0]!);
    const filter = isOne
      ? series.map((column, index) => `${column} = ${first[index]}`).join(" AND ")
      : betweenSql(series, first, key(run.at(-1)!));
    const rows = `${this.#source} AND ${filter}`;
    const stamps = this.#kind.hasSeq ? [this.#at, "seq"] : [this.#at];
    const limit = run.at(-1)!.isCut ? ` LIMIT ${rowsOf(run)}` : "";
    const isDescending = this.#query.order === "descending";
    const isInOrder = isOne && limit === "" && !isDescending && (await this.#isInOrder(rows, params));
    const ordered = [...(isOne ? [] : series), ...stamps.map((sql) => (isDescending ? `${sql} DESC` : sql))];
    const order = isInOrder ? "" : ` ORDER BY ${ordered.join(", ")}`;
    return { sql: `SELECT ${this.#select} FROM ${rows}${order}${limit}`, params };
  }

  /** A walk over the rows as they are stored. */
  async #isInOrder(rows: string, params: Param[]): Promise<boolean> {
    if (this.#kind.hasSeq && !this.#hasSeq) return false;
    const seq = this.#hasSeq ? ", seq AS n, lag(seq) OVER () AS m" : "";
    const found = await this.#rows(
      `SELECT 1 FROM (SELECT ${this.#at} AS a, lag(${this.#at}) OVER () AS b${seq} FROM ${rows})
       WHERE a < b${this.#hasSeq ? " OR (a = b AND n < m)" : ""} LIMIT 1`,
      params,
    );
    return found.length === 0;
  }

  #rows(sql: string, params: Param[]): Promise<unknown[][]> {
    return this.#snapshot.call((session) => session.rows(sql, params));
  }

  /** In the order of the walk. @throws TransferRowError */
  async #series(): Promise<StoredSeries[]> {
    const { kind } = this.#query;
    const { stamp, part } = this.#kind;
    const partial =
      stamp.type === "second"
        ? `min(${this.#at}) FILTER (epoch_us(${this.#at}) % 1000000 <> 0)`
        : "NULL::TIMESTAMP";
    const seqs = this.#query.columns.includes("seq") ? "min(seq), max(seq)" : "0, 0";
    const found = await this.#rows(
      `SELECT ticker, ${part === null ? "''" : `"${part}"`}, count(*),
         strftime(${partial}, '%Y-%m-%d %H:%M:%S.%f'), ${seqs}
       FROM ${this.#source} GROUP BY ALL ORDER BY 1, 2`,
      this.#params,
    );
    return found.map(([ticker, name, rows, odd, ...ends]) => {
      const series = { ticker: String(ticker), part: String(name), rows: Number(rows) };
      const label = `${series.ticker} ${seriesLabel(kind, part === null ? null : series.part)}`;
      if (odd !== null) storedStamp(String(odd), this.#kind, label);
      for (const seq of ends) seqOf(seq as bigint, label);
      return series;
    });
  }
}

function rowsOf(run: StoredSeries[]): number {
  return run.reduce((sum, { rows }) => sum + rows, 0);
}

/** Those of the first rows: of the last one there may be more. */
function firstOf(series: StoredSeries[], limit: number | null): StoredSeries[] {
  if (limit === null) return series;
  const first: StoredSeries[] = [];
  let left = limit;
  for (const each of series) {
    if (left <= 0) break;
    first.push(each.rows > left ? { ...each, rows: left, isCut: true } : each);
    left -= each.rows;
  }
  return first;
}

/** Of keys, inclusive. The bounds of the first column alone let DuckDB skip what lies beyond. */
function betweenSql([ticker, part]: string[], first: string[], last: string[]): string {
  const tickers = `${ticker} >= ${first[0]} AND ${ticker} <= ${last[0]}`;
  if (part === undefined) return tickers;
  return `${tickers} AND (${ticker} > ${first[0]} OR ${part} >= ${first[1]})
    AND (${ticker} < ${last[0]} OR ${part} <= ${last[1]})`;
}

/** Of a run, as its rows come. */
class Spans {
  readonly #left: StoredSeries[];

  constructor(run: StoredSeries[]) {
    this.#left = run.map((series) => ({ ...series })).reverse();
  }

  next(rows: number): StoredSeries[] {
    const spans: StoredSeries[] = [];
    for (let missing = rows; missing > 0; ) {
      const series = this.#left.at(-1)!;
      const taken = Math.min(missing, series.rows);
      spans.push({ ...series, rows: taken });
      missing -= taken;
      series.rows -= taken;
      if (series.rows === 0) this.#left.pop();
    }
    return spans;
  }
}

/** What one statement reads: a long series, or neighbours that are short. */
function runsOf(series: StoredSeries[]): StoredSeries[][] {
  const runs: StoredSeries[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const each of series) {
    const isLong = each.rows >= LONG_ROWS;
    if (isLong || rows + each.rows > SORTED_ROWS) {
      runs.push([]);
      rows = 0;
    }
    runs.at(-1)!.push(each);
    rows = isLong ? Number.POSITIVE_INFINITY : rows + each.rows;
  }
  return runs;
}
