/** Streams the rows of a range as JSON, a page at a time. */
import type { DuckDBMaterializedResult } from "@duckdb/node-api";
import type { PiecesSource, RowsPiece } from "../row-pieces.ts";
import { columnsSql, encodeRows, type RowSource } from "./json-rows.ts";
import type { Param, Session } from "./session.ts";

/** About 5 MB in DuckDB. Each page searches its rows anew, so small pages take longer in all. */
const PAGE_ROWS = 65_536;

export interface PageQuery {
  sql: string;
  params: Param[];
}

/**
 * @param filter SQL over parameters up to `$paramCount`.
 * @param continued more parameters hold the values of `source.order` in the last row of the page
 *   before. The limit is the last parameter.
 */
export function pageSql(
  source: RowSource,
  { filter, paramCount, continued }: { filter: string; paramCount: number; continued: boolean },
): string {
  const { kind, order } = source;
  const limit = `$${paramCount + (continued ? order.length : 0) + 1}`;
  const beyond = continued ? ` AND ${beyondSql(source, paramCount + 1)}` : "";
  return `SELECT ${columnsSql(source)}, ${order.join(", ")} FROM
    (SELECT *, rowid AS place FROM ${kind.table} WHERE ${filter}${beyond} ORDER BY ${order.join(", ")} LIMIT ${limit})`;
}

/** The first comparison alone lets DuckDB skip row groups. */
function beyondSql({ order, stampType }: RowSource, firstParam: number): string {
  const columns = order.map((column) => (column === "place" ? "rowid" : column));
  const values = order.map((_, i) => `$${firstParam + i}::${i === 0 ? stampType : "BIGINT"}`);
  return `${columns[0]} >= ${values[0]} AND (${columns.join(", ")}) > (${values.join(", ")})`;
}

/** A page in DuckDB's memory; each piece becomes text when it is taken. */
export class Page {
  readonly rows: number;
  readonly pieces: number;
  readonly #source: RowSource;
  readonly #result: DuckDBMaterializedResult;
  #taken = 0;
  #rowsTaken = 0;

  constructor(source: RowSource, result: DuckDBMaterializedResult) {
    this.#source = source;
    this.#result = result;
    this.rows = result.rowCount;
    this.pieces = result.chunkCount;
  }

  get left(): number {
    return this.pieces - this.#taken;
  }

  /** Of the pieces that were taken. */
  get rowsTaken(): number {
    return this.#rowsTaken;
  }

  /** Up to 2,048 rows joined by commas, about 1 ms of work; null at the end. */
  next(): string | null {
    if (this.#taken === this.pieces) return null;
    const chunk = this.#result.getChunk(this.#taken++);
    this.#rowsTaken += chunk.rowCount;
    return encodeRows(this.#source, chunk);
  }

  /** The last row's values of `source.order`, from which the next page goes on. */
  last(): string[] {
    const { order } = this.#source;
    const chunk = this.#result.getChunk(this.pieces - 1);
    const first = chunk.columnCount - order.length;
    return order.map((_, i) => String(chunk.getColumnVector(first + i).getItem(chunk.rowCount - 1)));
  }

  all(): string {
    const pieces: string[] = [];
    for (let piece = this.next(); piece !== null; piece = this.next()) pieces.push(piece);
    return pieces.join(",");
  }
}

/** Its next piece; an empty one is the last. */
export function pieceOf(page: Page): RowsPiece {
  const before = page.rowsTaken;
  const rows = page.next();
  return { rows: rows ?? "", count: page.rowsTaken - before, isLast: rows === null };
}

export async function readPage(session: Session, source: RowSource, query: PageQuery): Promise<Page> {
  return new Page(source, await session.run(query.sql, query.params));
}

export interface RowStreamOptions {
  source: RowSource;
  filter: string;
  params: Param[];
  read(query: PageQuery): Promise<Page>;
  /** Returns the connection. */
  release(): void;
}

export class RowStream implements PiecesSource {
  readonly #options: RowStreamOptions;
  #page: Page | null = null;
  /** The next page; its read begins when half of this page is taken. */
  #coming: Promise<Page> | null = null;
  /** The range may have rows beyond the pages asked for. */
  #hasMore = true;

  constructor(options: RowStreamOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    this.#readAhead();
    await this.#turnPage();
  }

  async next(): Promise<RowsPiece> {
    if (this.#page!.left * 2 <= this.#page!.pieces) this.#readAhead();
    if (this.#page!.left === 0 && this.#coming !== null) await this.#turnPage();
    return pieceOf(this.#page!);
  }

  end(): void {
    const { release } = this.#options;
    // The connection works on one call at a time, so a page under way must arrive first.
    if (this.#coming === null) release();
    else void this.#coming.catch(() => null).then(release);
  }

  #readAhead(): void {
    if (this.#coming !== null || !this.#hasMore) return;
    const { source, filter, params, read } = this.#options;
    const continued = this.#page !== null;
    this.#coming = read({
      sql: pageSql(source, { filter, paramCount: params.length, continued }),
      params: [...params, ...(this.#page?.last() ?? []), PAGE_ROWS],
    }).then((page) => {
      this.#hasMore = page.rows === PAGE_ROWS;
      return page;
    });
    this.#coming.catch(() => null); // the turn to this page throws it
  }

  async #turnPage(): Promise<void> {
    const page = await this.#coming!;
    this.#coming = null;
    this.#page = page;
  }
}
