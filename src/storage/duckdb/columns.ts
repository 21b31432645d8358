/**
 * Rows as columns: DuckDB's own vectors, copied out of streamed chunks, within one transaction.
 *
 * Which series there are, and how many rows each has, is asked first. So tickers and parts never
 * leave DuckDB, and a stream that fails half way is found out, which ends as if it were complete.
 *
 * Sorting takes many times as long as reading. Series that are stored in order of the walk, as an
 * import of one after the other leaves them, are passed on as they come. Rows of a feed are stored
 * in order of their stamps: so they are read as they are stored and counted out, see
 * stored-order.ts, and sorted only where one is out of order. A series too long for that is looked
 * at first.
 *
 * Ticks that are read for bars alone leave DuckDB as partial bars: see bar-parts.ts.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { TransferRowError } from "../contract.ts";
import type { BarParts, ColumnBatch, ColumnQuery, RowKey, WalkPositions } from "../model/columns.ts";
import { kindOf, type RowKind, seriesLabel } from "../model/kinds.ts";
import { inByteOrder } from "../series-order.ts";
import { seqOf, storedStamp } from "../transfer-rows.ts";
import {
  batchOfParts,
  canSum,
  lookSql,
  type PartLook,
  type PartSource,
  partsIn,
  partsSql,
  readLook,
} from "./bar-parts.ts";
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
import { type StoredLayout, StoredOrder, WalkOrder } from "./stored-order.ts";
import { readAllPlaces, readPlaces } from "./update-log.ts";

/** Eight of DuckDB's vectors. */
const BATCH_ROWS = 16_384;
/** Rows that are held at once, some 50 MB of five columns. A longer series is read by itself. */
const RUN_ROWS = 1_000_000;
/** Partial bars of so many ticks are made at once: whoever wants few waits for no others. */
const PARTS_RUN_ROWS = 10_000_000;
/** To search more names than these takes longer than to sort the rows. */
const LISTED_MAX = 1_000;

interface ColumnStatement {
  sql: string;
  params: Param[];
}

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
    if (walk === null) return;
    const parts = query.bars === undefined ? null : await walk.parts(query.bars);
    yield* parts ?? walk.batches();
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

/**
 * Asked once more without a stream, DuckDB says what is wrong. The failure may have ended the
 * transaction.
 */
async function findFailure(session: Session, sql: string, params: Param[]): Promise<void> {
  await session.run("ROLLBACK").catch(() => null);
  await session.run("BEGIN TRANSACTION READ ONLY");
  await session.run(`SELECT max(hash(COLUMNS(*))) FROM (${sql})`, params);
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
  /** Of the columns that are asked for, those that are read. */
  readonly #read: string[];
  readonly #select: string;
  /** So many columns it has. */
  readonly #selected: number;
  readonly #columns: StoredColumns;
  /** Rows of a run weren't stored in order of the walk, so those of others won't be. */
  #isInterleaved = false;

  private constructor(snapshot: Snapshot, query: ColumnQuery, there: StoredColumns) {
    const kind = kindOf(query.kind);
    const isDate = kind.stamp.type === "date";
    const at = instant(kind.stamp.name, there);
    const [first, last] = boundsOf(isDate);
    this.#snapshot = snapshot;
    this.#query = query;
    this.#kind = kind;
    this.#columns = there;
    this.#at = at.sql;
    this.#hasSeq = kind.hasSeq && there.has("seq");
    this.#params = [query.from ?? first, query.to ?? last];
    const filters = [
      ...seriesSql(kind).map((column) => `${column} IS NOT NULL`),
      `${at.sql} >= $1::${at.type}`,
      `${at.sql} <= $2::${at.type}`,
    ];
    if (query.tickers !== null) filters.push(amongSql("ticker", query.tickers, this.#params));
    if (query.parts !== null && kind.part !== null)
      filters.push(amongSql(`"${kind.part}"`, query.parts, this.#params));
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
    this.#read = read;
    this.#selected = Math.max(1, read.length);
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

  /** Null: DuckDB can't make them of these ticks. */
  async parts(bars: BarParts): Promise<AsyncGenerator<ColumnBatch> | null> {
    if (!this.#hasSeq || !canSum(this.#columns)) return null;
    const [row] = await this.#rows(lookSql(bars, this.#partSource(this.#source)), this.#params);
    const look = readLook(row!);
    return look === null ? null : this.#parts(bars, look);
  }

  #partSource(source: string): PartSource {
    return { source, at: this.#at, columns: this.#columns };
  }

  async *#parts(bars: BarParts, look: PartLook): AsyncGenerator<ColumnBatch> {
    for (const { source, params } of await this.#partSources(look.ticks)) {
      const sql = partsSql(bars, this.#partSource(source), look);
      for await (const chunk of this.#chunksOf({ sql, params }, partsIn)) {
        yield batchOfParts(chunk);
        this.#query.signal?.throwIfAborted();
      }
    }
  }

  async #partSources(ticks: number): Promise<{ source: string; params: Param[] }[]> {
    if (ticks <= PARTS_RUN_ROWS) return [{ source: this.#source, params: this.#params }];
    return runsOf(await this.#series(), PARTS_RUN_ROWS).map((run) => {
      const params = [...this.#params];
      return { source: `${this.#source} AND ${this.#filterOf(run, params)}`, params };
    });
  }

  async *batches(): AsyncGenerator<ColumnBatch> {
    const series = firstOf(await this.#series(), this.#query.limit ?? null);
    for (const run of runsOf(series, RUN_ROWS)) yield* this.#run(run);
  }

  async *#run(run: StoredSeries[]): AsyncGenerator<ColumnBatch> {
    // DuckDB finds the first rows of many without the others.
    if (run.at(-1)!.isCut) {
      yield* this.#sorted(run, 0);
      return;
    }
    const rows = rowsOf(run);
    if (rows > RUN_ROWS) {
      yield* this.#sorted(run, 0);
      return;
    }
    let given = 0;
    if (!this.#isInterleaved && this.#query.order !== "descending")
      for await (const batch of this.#asStored(run)) {
        given += batch.rows;
        yield batch;
      }
    if (given === rows) return;
    this.#isInterleaved = true;
    const stored = await this.#inStoredOrder(run);
    yield* stored === null ? this.#sorted(run, given) : this.#slices(run, stored, given);
  }

  /** The first series of the run, as far as rows are stored in order of the walk. */
  async *#asStored(run: StoredSeries[]): AsyncGenerator<ColumnBatch> {
    const { statement, layout } = this.#placedStatement(run);
    const order = new WalkOrder(run, layout);
    const held: ColumnBatch[] = [];
    let given = 0;
    const rows = { rows: rowsOf(run), given: 0 };
    for await (const batch of this.#batchesOf(statement, run, rows, (chunk) => order.isNext(chunk))) {
      held.push(batch);
      // A row that is still to come may belong before others of its series.
      while (held.length > 0 && given + held[0]!.rows <= order.complete) {
        given += held[0]!.rows;
        yield held.shift()!;
        await new Promise(setImmediate);
        this.#query.signal?.throwIfAborted();
      }
    }
  }

  /** @param given so many rows of the run have been read. */
  async *#sorted(run: StoredSeries[], given: number): AsyncGenerator<ColumnBatch> {
    const statement = await this.#sortedStatement(run, given);
    yield* this.#batchesOf(statement, run, { rows: rowsOf(run) - given, given }, () => true);
  }

  async *#batchesOf(
    statement: ColumnStatement,
    run: StoredSeries[],
    { rows, given }: { rows: number; given: number },
    isNext: (chunk: DuckDBDataChunk) => boolean,
  ): AsyncGenerator<ColumnBatch> {
    const spans = new Spans(run);
    spans.next(given);
    let builder = new BatchBuilder(this.#query, BATCH_ROWS);
    for await (const chunk of this.#chunksOf(statement, rows)) {
      if (!isNext(chunk)) break;
      if (builder.rows + chunk.rowCount > BATCH_ROWS) {
        yield builder.finish();
        builder = new BatchBuilder(this.#query, BATCH_ROWS);
      }
      builder.add(chunk, spans.next(chunk.rowCount));
      this.#query.signal?.throwIfAborted();
    }
    if (builder.rows > 0) yield builder.finish();
  }

  /** Null: they aren't stored in order. */
  async #inStoredOrder(run: StoredSeries[]): Promise<StoredOrder | null> {
    const { statement, layout } = this.#placedStatement(run);
    const stored = new StoredOrder(this.#query, run, layout);
    for await (const chunk of this.#chunksOf(statement, rowsOf(run))) {
      stored.add(chunk);
      if (!stored.isInOrder) return null;
      this.#query.signal?.throwIfAborted();
    }
    return stored;
  }

  async *#slices(run: StoredSeries[], stored: StoredOrder, given: number): AsyncGenerator<ColumnBatch> {
    const spans = new Spans(run);
    spans.next(given);
    const rows = rowsOf(run);
    for (let start = given; start < rows; start += BATCH_ROWS) {
      const end = Math.min(rows, start + BATCH_ROWS);
      yield stored.batch(start, end, spans.next(end - start));
      await new Promise(setImmediate);
      this.#query.signal?.throwIfAborted();
    }
  }

  /**
   * Each is asked for while the one before is taken apart.
   *
   * @param rows more than 0, as the first chunk may tell.
   */
  async *#chunksOf(
    { sql, params }: ColumnStatement,
    rows: number | ((first: DuckDBDataChunk) => number),
  ): AsyncGenerator<DuckDBDataChunk> {
    const snapshot = this.#snapshot;
    let left = typeof rows === "number" ? rows : null;
    const result = await snapshot.call((session) => session.stream(sql, params));
    const fetch = (): Promise<DuckDBDataChunk | null> => {
      const chunk = snapshot.call(() => result.fetchChunk());
      chunk.catch(() => null);
      return chunk;
    };
    let ahead = fetch();
    try {
      while (left !== 0) {
        const chunk = await ahead;
        if (chunk === null || chunk.rowCount === 0) {
          this.#query.signal?.throwIfAborted();
          await snapshot.call((session) => findFailure(session, sql, params));
          throw new Error(`DuckDB ended a result ${left ?? "all its"} rows early`);
        }
        left = (left ?? (rows as (first: DuckDBDataChunk) => number)(chunk)) - chunk.rowCount;
        if (left > 0) ahead = fetch();
        yield chunk;
      }
    } finally {
      await ahead.catch(() => null);
    }
  }

  /** @param given so many rows come before. */
  async #sortedStatement(run: StoredSeries[], given: number): Promise<ColumnStatement> {
    const params = [...this.#params];
    const rows = `${this.#source} AND ${this.#filterOf(run, params)}`;
    const stamps = this.#kind.hasSeq ? [this.#at, "seq"] : [this.#at];
    const isDescending = this.#query.order === "descending";
    const ordered = [
      ...(run.length === 1 ? [] : seriesSql(this.#kind)),
      ...stamps.map((sql) => (isDescending ? `${sql} DESC` : sql)),
    ];
    const limit = run.at(-1)!.isCut ? ` LIMIT ${rowsOf(run)}` : "";
    const offset = given === 0 ? "" : ` OFFSET ${given}`;
    const isLong = rowsOf(run) > RUN_ROWS && limit === "" && !isDescending;
    const isInOrder = isLong && (await this.#isInOrder(rows, params));
    const order = isInOrder ? "" : ` ORDER BY ${ordered.join(", ")}`;
    return { sql: `SELECT ${this.#select} FROM ${rows}${order}${limit}${offset}`, params };
  }

  /** A look at a long series, as it is stored. */
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

  /** In no order, with the key of each row: stamp, seq, and the names in which the run differs. */
  #placedStatement(run: StoredSeries[]): { statement: ColumnStatement; layout: StoredLayout } {
    const { hasSeq, part, stamp } = this.#kind;
    const params = [...this.#params];
    const rows = `${this.#source} AND ${this.#filterOf(run, params)}`;
    const select = [this.#select];
    const placeOf = (column: string, sql: string): number => {
      const asked = this.#read.indexOf(column);
      return asked === -1 ? this.#selected + select.push(sql) - 2 : asked;
    };
    const [first, last] = [run[0]!, run.at(-1)!];
    const isPartOne = part === null || run.every((series) => series.part === first.part);
    const layout: StoredLayout = {
      stamp: placeOf(stamp.name, stampSql(this.#kind, { sql: this.#at })),
      seq: hasSeq ? placeOf("seq", "seq::BIGINT") : null,
      names: {
        ticker: first.ticker === last.ticker ? null : placeOf("ticker", "ticker::VARCHAR"),
        part: isPartOne ? null : placeOf(part, `"${part}"::VARCHAR`),
      },
    };
    return { statement: { sql: `SELECT ${select.join(", ")} FROM ${rows}`, params }, layout };
  }

  /** Adds to the parameters. */
  #filterOf(run: StoredSeries[], params: Param[]): string {
    const series = seriesSql(this.#kind);
    const key = ({ ticker, part }: StoredSeries): string[] => {
      const names = this.#kind.part === null ? [ticker] : [ticker, part];
      return names.map((name) => `$${params.push(name)}::VARCHAR`);
    };
    const first = key(run[0]!);
    return run.length === 1
      ? series.map((column, index) => `${column} = ${first[index]}`).join(" AND ")
      : betweenSql(series, first, key(run.at(-1)!));
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

/**
 * Adds to the parameters. A join with the names, as DuckDB makes of a long IN, loses the order in
 * which rows are stored. A search in a list keeps it, and is made once for all equal names of a
 * vector.
 */
function amongSql(column: string, names: readonly string[], params: Param[]): string {
  const all = inByteOrder(names.map(storable));
  const param = (text: string): string => `$${params.push(text)}::VARCHAR`;
  if (all.length === 1) return `${column} = ${param(all[0]!)}`;
  const list = `from_json(${param(JSON.stringify(all))}, '["VARCHAR"]')`;
  if (all.length === 0 || all.length > LISTED_MAX) return `${column} IN (SELECT unnest(${list}))`;
  return `${column} >= ${param(all[0]!)} AND ${column} <= ${param(all.at(-1)!)}
    AND list_contains(${list}, ${column})`;
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

/** What one statement reads: a series, or neighbours that are short. */
function runsOf(series: StoredSeries[], rowsMax: number): StoredSeries[][] {
  const runs: StoredSeries[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const each of series) {
    if (rows + each.rows > rowsMax || each.isCut) {
      runs.push([]);
      rows = 0;
    }
    runs.at(-1)!.push(each);
    rows += each.rows;
  }
  return runs;
}
