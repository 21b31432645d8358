/**
 * Rows as columns, page by page along the key, all in one transaction. The pages are arrays of
 * values, Bun's fastest way out of SQLite; a loop turns each batch of them into columns.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { countData, Dictionary, daysOf, Int64s, inByteOrder, StampReader } from "../column-values.ts";
import type { RowRange } from "../contract.ts";
import {
  type ColumnBatch,
  type ColumnData,
  type ColumnQuery,
  rowColumnNames,
  rowsOfBatch,
} from "../model/columns.ts";
import {
  type KindName,
  kindOf,
  partName,
  type RowKind,
  type SeriesRow,
  seriesColumns,
} from "../model/kinds.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { exactDigits, stampOf, storedValue, wholeNumber } from "./stored-row.ts";

/** Rows of one page, read within 1 ms or 2. A batch has as many, or some more. */
const PAGE_ROWS = 4_000;
const TICKERS_PER_PAGE = 500;
/** After so long with few rows for a batch, others have their turn. */
const TURN_MS = 4;
const LAST = "~";

type Bindings = SQLQueryBindings[];
type Page = unknown[][];

/** Rows that were read, of one series. */
interface Piece {
  ticker: string;
  part: string | null;
  page: Page;
}

/**
 * @param open a connection for this walk alone.
 * @param there the columns of the table; null: there is none.
 */
export async function* readColumns(
  open: () => Database,
  there: ReadonlySet<string> | null,
  query: ColumnQuery,
): AsyncGenerator<ColumnBatch> {
  query.signal?.throwIfAborted();
  if (there === null) return;
  const db = open();
  try {
    db.run("BEGIN");
    const pages = new Pages(db, there, query);
    let pieces: Piece[] = [];
    let rows = 0;
    let turnBegan = performance.now();
    for (const piece of piecesOf(db, pages, query)) {
      if (piece.page.length > 0) pieces.push(piece);
      rows += piece.page.length;
      const isBatch = rows >= PAGE_ROWS;
      if (isBatch) {
        yield batchOf(pieces, rows, query, pages);
        pieces = [];
        rows = 0;
      }
      if (!isBatch && performance.now() - turnBegan < TURN_MS) continue;
      await new Promise(setImmediate);
      query.signal?.throwIfAborted();
      turnBegan = performance.now();
    }
    if (rows > 0) yield batchOf(pieces, rows, query, pages);
  } finally {
    if (db.inTransaction) db.run("ROLLBACK");
    db.close(false);
  }
}

/** Rows of one series. No snapshot is held from one page to the next. */
export function* readRows(
  db: Database,
  there: ReadonlySet<string>,
  { kind, ticker, part, from, to }: RowRange,
): Generator<SeriesRow[]> {
  const query = { kind, tickers: [ticker], part, from, to, columns: rowColumnNames(kind) };
  const pages = new Pages(db, there, query);
  for (const piece of pages.of(ticker, part)) {
    const { length } = piece.page;
    if (length > 0) yield rowsOfBatch(kind, batchOf([piece], length, query, pages));
  }
}

/** Series by series; a piece without rows is a turn in which none was found. */
function* piecesOf(db: Database, pages: Pages, query: ColumnQuery): Generator<Piece> {
  for (const ticker of tickersOf(db, query)) {
    for (const part of partsOf(db, ticker, query)) yield* pages.of(ticker, part);
    yield { ticker, part: null, page: [] };
  }
}

function* tickersOf(db: Database, { kind, tickers }: ColumnQuery): Generator<string> {
  if (tickers !== null) {
    yield* inByteOrder(tickers);
    return;
  }
  for (let after: string | null = null; ; ) {
    const next: string[] = storedTickers(db, kind, after, TICKERS_PER_PAGE);
    yield* next;
    if (next.length < TICKERS_PER_PAGE) return;
    after = next.at(-1)!;
  }
}

function partsOf(db: Database, ticker: string, { kind, part }: ColumnQuery): (string | null)[] {
  return part !== null || kindOf(kind).part === null ? [part] : storedParts(db, kind, ticker);
}

/** The statement of the walk: the stamp, the asked values and, where there is one, seq. */
class Pages {
  readonly #db: Database;
  readonly #kind: RowKind;
  readonly #there: ReadonlySet<string>;
  readonly #hasSeq: boolean;
  readonly #values: string[];
  readonly #counts: number[];
  readonly #bounds: Bindings;
  readonly #plain: Statement<unknown, Bindings>;
  /** Counts that a double doesn't hold come as text. */
  #exact: Statement<unknown, Bindings> | null = null;

  constructor(db: Database, there: ReadonlySet<string>, { kind: name, columns, from, to }: ColumnQuery) {
    const kind = kindOf(name);
    this.#db = db;
    this.#kind = kind;
    this.#there = there;
    // A file of the Python server has no seq: each stamp is there once.
    this.#hasSeq = kind.hasSeq && there.has("seq");
    const asked = kind.values.filter((column) => columns.includes(column.name));
    this.#values = asked.map((column) => column.name);
    this.#counts = asked.flatMap(({ type }, index) => (type === "count" ? [index + 1] : []));
    this.#bounds = [shortest(from), to ?? LAST];
    this.#plain = this.#statement((column) => column);
  }

  /** Its place in a row of a page. */
  indexOf(column: string): number {
    const { length } = this.#values;
    return column === "seq"
      ? length + 1
      : column === this.#kind.stamp.name
        ? 0
        : this.#values.indexOf(column) + 1;
  }

  *of(ticker: string, part: string | null): Generator<Piece> {
    const series = part === null ? [ticker] : [ticker, part];
    let after: Bindings = this.#hasSeq ? ["", Number.MIN_SAFE_INTEGER] : [""];
    for (;;) {
      const page = this.#read([...series, ...after, ...this.#bounds]);
      yield { ticker, part, page };
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE_ROWS) return;
      after = (this.#hasSeq ? [last[0], last.at(-1)] : [last[0]]) as Bindings;
    }
  }

  /** The connection reads integers as doubles: a page with one beyond them is read once more. */
  #read(params: Bindings): Page {
    const page = this.#plain.values(...params) as Page;
    const isWide = (value: unknown): boolean =>
      typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
    if (!this.#counts.some((index) => page.some((row) => isWide(row[index])))) return page;
    this.#exact ??= this.#statement(exactDigits);
    return this.#exact.values(...params) as Page;
  }

  /** @param countSql of a column of counts. */
  #statement(countSql: (column: string) => string): Statement<unknown, Bindings> {
    const { table, stamp } = this.#kind;
    const counts = this.#counts.map((index) => this.#values[index - 1]);
    const values = this.#values.map((name) =>
      !this.#there.has(name) ? "NULL" : counts.includes(name) ? countSql(name) : name,
    );
    const series = seriesColumns(this.#kind).map((column) => `${column} = ?`);
    const seq = this.#hasSeq ? ["seq"] : this.#kind.hasSeq ? ["0"] : [];
    const key = this.#hasSeq ? `${stamp.name}, seq` : stamp.name;
    return this.#db.query<unknown, Bindings>(
      `SELECT ${[stamp.name, ...values, ...seq].join(", ")} FROM ${table}
       WHERE ${series.join(" AND ")} AND (${key}) > (${this.#hasSeq ? "?, ?" : "?"})
         AND ${stamp.name} >= ? AND ${stamp.name} <= ?
       ORDER BY ${key} LIMIT ${PAGE_ROWS}`,
    );
  }
}

/**
 * The Python server left out a fraction, or a time, of zeros: the shortest text of an instant comes
 * before its others.
 */
function shortest(bound: string | null): string {
  return bound === null ? "" : bound.replace(/\.0{6}$/, "").replace(/ 00:00:00$/, "");
}

/** @throws TransferRowError */
function batchOf(pieces: Piece[], rows: number, { kind, columns }: ColumnQuery, pages: Pages): ColumnBatch {
  const cells = new Cells(kind, pieces, rows);
  return {
    rows,
    columns: new Map(columns.map((column) => [column, cells.data(column, pages.indexOf(column))])),
  };
}

/** What the rows of a batch hold. */
class Cells {
  readonly #name: KindName;
  readonly #kind: RowKind;
  readonly #pieces: Piece[];
  readonly #rows: number;

  constructor(name: KindName, pieces: Piece[], rows: number) {
    this.#name = name;
    this.#kind = kindOf(name);
    this.#pieces = pieces;
    this.#rows = rows;
  }

  data(column: string, index: number): ColumnData {
    const { part, stamp, values } = this.#kind;
    if (column === "ticker") return this.#names((piece) => piece.ticker);
    if (column === part) return this.#names((piece) => piece.part!);
    if (column === stamp.name) return stamp.type === "date" ? this.#dates() : this.#instants();
    if (column === "seq") return this.#seqs(index);
    switch (values.find(({ name }) => name === column)?.type) {
      case "double":
        return this.#doubles(column, index);
      case "count":
        return this.#counts(column, index);
      default:
        return this.#texts(column, index);
    }
  }

  #names(nameOf: (piece: Piece) => string): ColumnData {
    const texts = new Dictionary(this.#rows);
    let at = 0;
    for (const piece of this.#pieces) {
      texts.fill(nameOf(piece), at, at + piece.page.length);
      at += piece.page.length;
    }
    return { ...texts.data, nulls: null };
  }

  #dates(): ColumnData {
    const values = new Int32Array(this.#rows);
    this.#each(0, (stored, row, at) => {
      values[row] = daysOf(stampOf(stored, this.#kind, this.#where(at)))!;
    });
    return { type: "date", values, nulls: null };
  }

  #instants(): ColumnData {
    const micros = new Int64s(this.#rows);
    const reader = new StampReader();
    // Others than `YYYY-MM-DD HH:MM:SS.ffffff` were written by other programs.
    const isOwn = (text: string): boolean =>
      this.#kind.stamp.type === "instant" || text.length === SECOND_LENGTH;
    this.#each(0, (stored, row, at) => {
      if (typeof stored === "string" && isOwn(stored) && reader.read(stored, micros, row)) return;
      reader.read(stampOf(stored, this.#kind, this.#where(at)), micros, row);
    });
    return { type: "instant", values: micros.values, nulls: null };
  }

  #seqs(index: number): ColumnData {
    const seqs = new Int64s(this.#rows);
    this.#each(index, (stored, row, at) => seqs.set(row, wholeNumber(stored, this.#where(at))));
    return { type: "int64", values: seqs.values, nulls: null };
  }

  #doubles(column: string, index: number): ColumnData {
    const values = new Float64Array(this.#rows);
    const nulls = new Nulls(this.#rows);
    this.#each(index, (stored, row, at) => {
      if (typeof stored === "number") values[row] = stored;
      else if (this.#valueOf(column, stored, at) === null) nulls.add(row);
    });
    return { type: "double", values, nulls: nulls.mask };
  }

  #counts(column: string, index: number): ColumnData {
    const values = new Float64Array(this.#rows);
    const nulls = new Nulls(this.#rows);
    const wide = new Map<number, bigint>();
    this.#each(index, (stored, row, at) => {
      if (typeof stored === "number") {
        values[row] = stored;
        return;
      }
      const digits = this.#valueOf(column, stored, at);
      if (digits === null) nulls.add(row);
      else wide.set(row, BigInt(digits));
    });
    return countData(values, wide, nulls.mask);
  }

  #texts(column: string, index: number): ColumnData {
    const texts = new Dictionary(this.#rows);
    const nulls = new Nulls(this.#rows);
    this.#each(index, (stored, row, at) => {
      const text = this.#valueOf(column, stored, at);
      if (text === null) nulls.add(row);
      else texts.set(row, String(text));
    });
    return { ...texts.data, nulls: nulls.mask };
  }

  #valueOf(column: string, stored: unknown, at: PageRow): string | number | null {
    if (stored === null) return null;
    return storedValue(stored, this.#kind.values.find(({ name }) => name === column)!, this.#where(at));
  }

  #each(index: number, take: (stored: unknown, row: number, at: PageRow) => void): void {
    const at: PageRow = { piece: this.#pieces[0]!, index: 0 };
    let row = 0;
    for (const piece of this.#pieces) {
      at.piece = piece;
      for (at.index = 0; at.index < piece.page.length; at.index++)
        take(piece.page[at.index]![index], row++, at);
    }
  }

  /** For messages. */
  #where({ piece: { ticker, part, page }, index }: PageRow): string {
    return `${ticker} ${partName(this.#name, part)} ${page[index]![0]}`;
  }
}

/** Of a row in its page. */
interface PageRow {
  piece: Piece;
  index: number;
}

const SECOND_LENGTH = "2024-01-02 10:00:00".length;

/** Made when the first one comes. */
class Nulls {
  mask: Uint8Array | null = null;
  readonly #rows: number;

  constructor(rows: number) {
    this.#rows = rows;
  }

  add(row: number): void {
    this.mask ??= new Uint8Array(this.#rows);
    this.mask[row] = 1;
  }
}
