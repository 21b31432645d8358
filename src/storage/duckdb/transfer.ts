/**
 * Rows for a copy, from a file of this server or of the Python server as it is. Each page is a
 * query of its own: no snapshot is held, which would keep the old versions of rows that the copy
 * replaces in memory.
 */
import { type RowRange, type TransferReader, TransferRowError } from "../contract.ts";
import { type ColumnBatch, type ColumnQuery, rowColumnNames, rowsOfBatch } from "../model/columns.ts";
import { type KindName, kindOf, type SeriesRow, seriesLabel } from "../model/kinds.ts";
import { StampTexts } from "../model/stamp-text.ts";
import { seqOf, storedStamp, walkPages } from "../transfer-rows.ts";
import { BatchBuilder } from "./column-batch.ts";
import { readColumns } from "./columns.ts";
import { seriesSql, storedParts, storedTickers } from "./distinct-values.ts";
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
import { Turns } from "./turns.ts";

/** Rows of one page, 1 MB or 2: four of DuckDB's vectors. */
const PAGE_ROWS = 8_192;
/** Of the time that the page before spanned: enough for a full page, mostly, and few rows more. */
const WINDOW_SHARE = 1.5;
/** The driver's results lie outside of the heap, so their memory doesn't make the collector run. */
const PAGES_PER_COLLECTION = 32;
const MICROS_PER_SECOND = 1_000_000n;
const LAST_MS = Date.UTC(9999, 11, 31);

export class DuckDbTransfer implements TransferReader {
  readonly #session: Session;
  readonly #connect: () => Promise<Session>;
  readonly #close: () => void;
  readonly #turns = new Turns();
  #pages = 0;
  /** Those that are there. A count that becomes wider while a copy saves is read the same way. */
  readonly #columns = new Map<string, StoredColumns>();

  /** @param file `close` frees the session too. */
  constructor(session: Session, { connect, close }: { connect(): Promise<Session>; close(): void }) {
    this.#session = session;
    this.#connect = connect;
    this.#close = close;
  }

  async tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    if ((await this.#columnsOf(kindOf(kind).table)) === null) return [];
    return storedTickers((sql, params) => this.#rows(sql, params), kind, after, limit);
  }

  async parts(kind: KindName, ticker: string): Promise<string[]> {
    if ((await this.#columnsOf(kindOf(kind).table)) === null) return [];
    return storedParts((sql, params) => this.#rows(sql, params), kind, ticker);
  }

  async *rows(range: RowRange): AsyncGenerator<SeriesRow[]> {
    const { kind: name, ticker, part, from, to } = range;
    const kind = kindOf(name);
    const columns = await this.#columnsOf(kind.table);
    if (columns === null) return;
    const at = instant(kind.stamp.name, columns);
    // Nobody writes to a file without a seq, so the numbers of its rows stay.
    const hasSeq = columns.has("seq");
    const seq = kind.hasSeq ? (hasSeq ? "seq" : "rowid") : null;
    const isDate = kind.stamp.type === "date";
    const [first, last] = boundsOf(isDate);
    const series = seriesSql(kind);
    const [lower, upper] = [series.length + 1, series.length + 2];
    const filters = [
      ...series.map((column, index) => `${column} = $${index + 1}`),
      `${at.sql} >= $${lower}::${at.type}`,
      `${at.sql} <= $${upper}::${at.type}`,
      ...(seq === null ? [] : [`(${at.sql} > $${lower}::${at.type} OR ${seq} >= $${upper + 1}::BIGINT)`]),
    ];
    const values = kind.values.map((column) => valueSql(column, columns));
    const sql = `SELECT ${[stampSql(kind, at), ...values, ...(seq === null ? [] : [`${seq}::BIGINT`])].join(", ")}
      FROM ${kind.table} WHERE ${filters.join(" AND ")}
      ORDER BY ${seq === null ? at.sql : `${at.sql}, ${seq}`} LIMIT ${PAGE_ROWS}`;
    const names = part === null ? [storable(ticker)] : [storable(ticker), storable(part)];
    const window = new Window();
    const pages = walkPages({
      kind: name,
      pageRows: PAGE_ROWS,
      read: async (row) => {
        const after = seq === null ? [] : [String(row?.at(-1) ?? Number.MIN_SAFE_INTEGER)];
        const params = [...names, row?.[0] ?? from ?? first, to ?? last, ...after];
        return this.#page(window, sql, params, { range, from: lower - 1, to: upper - 1 });
      },
    });
    yield* kind.hasSeq && !hasSeq ? counted(pages) : pages;
  }

  columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    return readColumns(() => snapshotOf(this.#connect), query);
  }

  close(): void {
    this.#close();
  }

  /** Null: there is no such table. */
  async #columnsOf(table: string): Promise<StoredColumns | null> {
    const known = this.#columns.get(table);
    if (known !== undefined) return known;
    const columns = await this.#turns.run(() => readStoredColumns(this.#session, table));
    if (columns === null) return null;
    this.#columns.set(table, columns);
    return columns;
  }

  /** @param params ticker first; the bounds are named by their place. */
  async #page(
    window: Window,
    sql: string,
    params: Param[],
    { range, from, to }: PageOf,
  ): Promise<SeriesRow[]> {
    const [start, end] = [String(params[from]), String(params[to])];
    if (++this.#pages % PAGES_PER_COLLECTION === 0) Bun.gc(true);
    try {
      const near = window.endFrom(start);
      if (near !== null && near < end) {
        const rows = await this.#rowsOf(range, sql, params.with(to, near));
        if (rows.length === PAGE_ROWS) return window.note(rows);
      }
      return window.note(await this.#rowsOf(range, sql, params));
    } catch (error) {
      if (!(error instanceof Error) || !/^(Conversion|Binder) Error:/.test(error.message)) throw error;
      const { kind, ticker, part } = range;
      throw new TransferRowError(`${ticker} ${seriesLabel(kind, part)}: ${error.message.split("\n")[0]}`);
    }
  }

  /** @param sql of the columns of a row. @throws TransferRowError */
  async #rowsOf({ kind, ticker, part }: RowRange, sql: string, params: Param[]): Promise<SeriesRow[]> {
    const result = await this.#turns.run(() => this.#session.run(sql, params));
    const builder = new BatchBuilder({ kind, columns: rowColumnNames(kind) }, result.rowCount);
    for (let index = 0; index < result.chunkCount; index++) {
      const chunk = result.getChunk(index);
      builder.add(chunk, [{ ticker, part: part ?? "", rows: chunk.rowCount }]);
    }
    const batch = builder.finish();
    refuseOdd(kind, batch, `${ticker} ${seriesLabel(kind, part)}`);
    return rowsOfBatch(kind, batch);
  }

  #rows(sql: string, params: Param[]): Promise<unknown[][]> {
    return this.#turns.run(() => this.#session.rows(sql, params));
  }
}

async function snapshotOf(connect: () => Promise<Session>): Promise<Snapshot> {
  const session = await connect();
  await session.run("BEGIN TRANSACTION READ ONLY");
  return {
    call: (work) => work(session),
    interrupt: () => session.connection.interrupt(),
    async release() {
      // A result that isn't read to its end would keep the transaction after the connection.
      await session.run("ROLLBACK").catch(() => null);
      session.close();
    },
  };
}

interface PageOf {
  range: RowRange;
  /** Places of the bounds among the parameters. */
  from: number;
  to: number;
}

/**
 * Where the next page is going to end, guessed from the one before. Between two bounds DuckDB skips
 * all other rows; without the second it sorts, for every page, what is left of the series.
 */
class Window {
  #spanMs: number | null = null;

  /** In the form of the stamp; null without a guess. */
  endFrom(stamp: string): string | null {
    if (this.#spanMs === null) return null;
    const endMs = Math.min(LAST_MS, toMs(stamp) + this.#spanMs * WINDOW_SHARE + 1);
    return new Date(endMs).toISOString().replace("T", " ").slice(0, Math.min(stamp.length, 23));
  }

  note(rows: SeriesRow[]): SeriesRow[] {
    if (rows.length === PAGE_ROWS) this.#spanMs = toMs(rows.at(-1)![0]) - toMs(rows[0]![0]);
    return rows;
  }
}

function toMs(stamp: string): number {
  return Date.parse(`${stamp.slice(0, 23).replace(" ", "T")}Z`);
}

/** @throws TransferRowError a stamp has a fraction and mustn't, or a seq is too large. */
function refuseOdd(kind: KindName, { columns }: ColumnBatch, series: string): void {
  const { stamp, hasSeq } = kindOf(kind);
  const stamps = columns.get(stamp.name)!;
  if (stamp.type === "second" && stamps.type === "instant") {
    const odd = stamps.values.find((micros) => micros % MICROS_PER_SECOND !== 0n);
    if (odd !== undefined)
      storedStamp(new StampTexts(BigInt64Array.of(odd), true).at(0), kindOf(kind), series);
  }
  const seqs = hasSeq ? columns.get("seq")! : null;
  if (seqs?.type === "int64") for (const seq of seqs.values) seqOf(seq, series);
}

/**
 * Ticks that share a stamp become 0, 1, 2 … in the order stored, as an upgrade of the file makes
 * them.
 */
async function* counted(pages: AsyncIterable<SeriesRow[]>): AsyncGenerator<SeriesRow[]> {
  let stamp = "";
  let seq = 0;
  for await (const page of pages) {
    yield page.map((row) => {
      seq = row[0] === stamp ? seq + 1 : 0;
      stamp = row[0];
      return row.with(-1, seq) as SeriesRow;
    });
  }
}
