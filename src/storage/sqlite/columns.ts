/**
 * Rows as columns, page by page along the key, all in one transaction. The pages are arrays of
 * values, Bun's fastest way out of SQLite; a loop turns each batch of them into columns.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import type { RowRange } from "../contract.ts";
import {
  type ColumnBatch,
  type ColumnQuery,
  type RowKey,
  rowColumnNames,
  rowsOfBatch,
} from "../model/columns.ts";
import { type KindName, kindOf, type RowKind, type SeriesRow, seriesColumns } from "../model/kinds.ts";
import { partsInOrder, tickersInOrder } from "../series-order.ts";
import { batchOf, type Page, type Piece } from "./column-batch.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { exactDigits } from "./stored-row.ts";
import { positionsIn } from "./updates.ts";

/** Rows of one page, read within 1 ms or 2. A batch has as many, or some more. */
const PAGE_ROWS = 4_000;
const TICKERS_PER_PAGE = 500;
/** After so long with few rows for a batch, others have their turn. */
const TURN_MS = 4;
/** Every stored stamp lies between them. */
const FIRST = "";
const LAST = "~";

type Bindings = SQLQueryBindings[];

interface WalkedFile {
  /** A connection for this walk alone. */
  open(): Database;
  /** Throws when the file can't be read any more. */
  look?(): void;
}

export async function* readColumns(
  { open, look = () => {} }: WalkedFile,
  query: ColumnQuery,
): AsyncGenerator<ColumnBatch> {
  query.signal?.throwIfAborted();
  look();
  const db = open();
  try {
    db.run("BEGIN");
    query.onPositions?.(positionsIn(db, query.tickers));
    const there = columnsOf(db, query.kind);
    if (there.size === 0) return;
    const pages = new Pages(db, there, query);
    let pieces: Piece[] = [];
    let rows = 0;
    let turnBegan = performance.now();
    for (const piece of piecesOf(db, pages, query)) {
      if (piece.page.length > 0) pieces.push(piece);
      rows += piece.page.length;
      const isBatch = rows >= PAGE_ROWS;
      if (isBatch) {
        yield batchOf(pieces, query, pages.indexOf);
        pieces = [];
        rows = 0;
      }
      if (!isBatch && performance.now() - turnBegan < TURN_MS) continue;
      await new Promise(setImmediate);
      query.signal?.throwIfAborted();
      look();
      turnBegan = performance.now();
    }
    if (rows > 0) yield batchOf(pieces, query, pages.indexOf);
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
  const parts = part === null ? null : [part];
  const query = { kind, tickers: [ticker], parts, from, to, columns: rowColumnNames(kind) };
  const pages = new Pages(db, there, query);
  for (const piece of pages.of(ticker, part))
    if (piece.page.length > 0) yield rowsOfBatch(kind, batchOf([piece], query, pages.indexOf));
}

/** Of the table, as it is; none: there is no table. */
export function columnsOf(db: Database, kind: KindName): Set<string> {
  const found = db.query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)");
  return new Set(found.all(kindOf(kind).table).map(({ name }) => name));
}

/** Series by series; a piece without rows is a turn in which none was found. */
function* piecesOf(db: Database, pages: Pages, query: ColumnQuery): Generator<Piece> {
  const { limit, after } = query;
  let left = limit ?? Number.POSITIVE_INFINITY;
  for (const ticker of tickersOf(db, query)) {
    for (const part of partsOf(db, ticker, query)) {
      const isFirst = after != null && ticker === after.ticker && part === after.part;
      for (const piece of pages.of(ticker, part, { behind: isFirst ? after : null, limit: left })) {
        yield piece;
        left -= piece.page.length;
      }
      if (left <= 0) return;
    }
    yield { ticker, part: null, page: [] };
  }
}

function* tickersOf(db: Database, query: ColumnQuery): Generator<string> {
  const { kind, tickers, after: key } = query;
  if (tickers !== null) {
    yield* tickersInOrder(tickers, query);
    return;
  }
  if (key != null) yield key.ticker;
  for (let after = key?.ticker ?? null; ; ) {
    const next: string[] = storedTickers(db, kind, after, TICKERS_PER_PAGE);
    yield* next;
    if (next.length < TICKERS_PER_PAGE) return;
    after = next.at(-1)!;
  }
}

function partsOf(db: Database, ticker: string, query: ColumnQuery): (string | null)[] {
  const { kind, parts } = query;
  if (kindOf(kind).part === null) return [null];
  return partsInOrder(ticker, parts ?? storedParts(db, kind, ticker), query);
}

interface SeriesStart {
  behind: RowKey | null;
  limit: number;
}

/** Where the rows of a series begin that a statement reads. */
type Edge =
  /** At the bounds of the walk. */
  | "start"
  /** Behind a stamp. */
  | "stamp"
  /** Behind a seq, of one stamp. */
  | "seq";

/**
 * The statements of the walk: the stamp, the asked values and, where there is one, seq. To compare
 * stamp and seq at once is work for each row, nearly as much as to find it; so the rest of the
 * stamp that a page ends in is a page of its own.
 */
class Pages {
  readonly #db: Database;
  readonly #kind: RowKind;
  readonly #there: ReadonlySet<string>;
  readonly #hasSeq: boolean;
  readonly #isDescending: boolean;
  readonly #values: string[];
  readonly #counts: number[];
  readonly #from: string;
  readonly #to: string;
  readonly #statements = new Map<string, Statement<unknown, Bindings>>();

  constructor(
    db: Database,
    there: ReadonlySet<string>,
    { kind: name, columns, from, to, order }: ColumnQuery,
  ) {
    const kind = kindOf(name);
    this.#db = db;
    this.#kind = kind;
    this.#there = there;
    // A file of the Python server has no seq: each stamp is there once.
    this.#hasSeq = kind.hasSeq && there.has("seq");
    this.#isDescending = order === "descending";
    const asked = kind.values.filter((column) => columns.includes(column.name));
    this.#values = asked.map((column) => column.name);
    this.#counts = asked.flatMap(({ type }, index) => (type === "count" ? [index + 1] : []));
    this.#from = from === null ? FIRST : stampForms(from).at(-1)!;
    this.#to = to ?? LAST;
  }

  /** Its place in a row of a page. */
  readonly indexOf = (column: string): number => {
    const { length } = this.#values;
    return column === "seq"
      ? length + 1
      : column === this.#kind.stamp.name
        ? 0
        : this.#values.indexOf(column) + 1;
  };

  *of(
    ticker: string,
    part: string | null,
    { behind, limit }: SeriesStart = { behind: null, limit: Number.POSITIVE_INFINITY },
  ): Generator<Piece> {
    const series = part === null ? [ticker] : [ticker, part];
    let key: Bindings = behind === null ? [] : this.#keyOf(series, behind);
    let edge: Edge = behind === null ? "start" : this.#hasSeq ? "seq" : "stamp";
    for (let left = limit; left > 0; ) {
      const most = Math.min(left, PAGE_ROWS);
      const page = this.#read(edge, [...series, ...this.#bounds(edge, key), most]);
      if (page.length > 0 || edge !== "seq") yield { ticker, part, page };
      left -= page.length;
      const last = page.at(-1);
      if (last !== undefined) key = [last[0], last.at(-1)] as Bindings;
      const isWhole = page.length < most;
      if (isWhole && edge !== "seq") return;
      edge = this.#hasSeq && !isWhole ? "seq" : "stamp";
    }
  }

  #bounds(edge: Edge, [stamp, seq]: Bindings): Bindings {
    if (edge === "start") return [this.#from, this.#to];
    if (edge === "seq") return [stamp!, seq!, this.#from, this.#to];
    return this.#isDescending ? [this.#from, stamp!] : [stamp!, this.#to];
  }

  /** As the row is stored, which another program may have written in a shorter form. */
  #keyOf(series: string[], { stamp, seq }: RowKey): Bindings {
    const { table, stamp: column } = this.#kind;
    const seqs = this.#hasSeq ? [seq] : [];
    const forms = stampForms(stamp);
    const filters = [
      ...seriesColumns(this.#kind).map((name) => `${name} = ?`),
      ...seqs.map(() => "seq = ?"),
      `${column.name} IN (${forms.map(() => "?").join(", ")})`,
    ];
    const found = this.#db
      .query<{ stored: string }, Bindings>(
        `SELECT ${column.name} AS stored FROM ${table} WHERE ${filters.join(" AND ")} LIMIT 1`,
      )
      .get(...series, ...seqs, ...forms);
    return [found?.stored ?? stamp, ...seqs];
  }

  /** The connection reads integers as doubles: a page with one beyond them is read once more. */
  #read(edge: Edge, params: Bindings): Page {
    const page = this.#statement(edge, false).values(...params) as Page;
    const isWide = (value: unknown): boolean =>
      typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
    if (!this.#counts.some((index) => page.some((row) => isWide(row[index])))) return page;
    return this.#statement(edge, true).values(...params) as Page;
  }

  /** @param isExact counts that a double doesn't hold come as text. */
  #statement(edge: Edge, isExact: boolean): Statement<unknown, Bindings> {
    const name = `${edge} ${isExact}`;
    const made = this.#statements.get(name) ?? this.#made(edge, isExact);
    this.#statements.set(name, made);
    return made;
  }

  #made(edge: Edge, isExact: boolean): Statement<unknown, Bindings> {
    const { table, stamp } = this.#kind;
    const counts = this.#counts.map((index) => this.#values[index - 1]);
    const values = this.#values.map((name) => {
      if (!this.#there.has(name)) return "NULL";
      return isExact && counts.includes(name) ? exactDigits(name) : name;
    });
    const series = seriesColumns(this.#kind).map((column) => `${column} = ?`);
    const seq = this.#hasSeq ? ["seq"] : this.#kind.hasSeq ? ["0"] : [];
    const key = this.#hasSeq ? [stamp.name, "seq"] : [stamp.name];
    const isBehind = (edge: Edge, than: string): string => (edge === "stamp" ? than : `${than}=`);
    const bounds = [
      `${stamp.name} ${this.#isDescending ? ">=" : isBehind(edge, ">")} ?`,
      `${stamp.name} ${this.#isDescending ? isBehind(edge, "<") : "<="} ?`,
    ];
    const rest = [`${stamp.name} = ?`, `seq ${this.#isDescending ? "<" : ">"} ?`];
    const filters = [...series, ...(edge === "seq" ? rest : []), ...bounds];
    return this.#db.query<unknown, Bindings>(
      `SELECT ${[stamp.name, ...values, ...seq].join(", ")} FROM ${table}
       WHERE ${filters.join(" AND ")}
       ORDER BY ${key.map((column) => `${column}${this.#isDescending ? " DESC" : ""}`).join(", ")} LIMIT ?`,
    );
  }
}

/**
 * The texts that may stand for a stamp, the shortest last: the Python server left out a fraction,
 * or a time, of zeros. The shortest text of an instant comes before its others.
 */
function stampForms(stamp: string): string[] {
  const second = stamp.replace(/\.0{6}$/, "");
  return [...new Set([stamp, second, second.replace(/ 00:00:00$/, "")])];
}
