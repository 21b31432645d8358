/** The rows of a range as JSON, a page at a time. */
import type { RowSource } from "./json-rows.ts";
import type { Param, Session } from "./session.ts";

/** Rows of one page: two of DuckDB's vectors, about 1.5 MB of JSON. */
const PAGE_ROWS = 4_096;

export interface PageQuery {
  sql: string;
  params: Param[];
}

export interface Page {
  /** Rows joined by commas, a text for each vector. */
  texts: string[];
  rows: number;
  /** Where the next page begins: the last row's values of `source.order`. */
  last: string[];
}

/**
 * @param filter SQL of the range, over parameters up to `$paramCount`.
 * @param continued Further parameters hold the last row of the page before, the values of `source.order`. Last comes the limit.
 */
export function pageSql(
  source: RowSource,
  { filter, paramCount, continued }: { filter: string; paramCount: number; continued: boolean },
): string {
  const { json, table, order } = source;
  const limit = `$${paramCount + (continued ? order.length : 0) + 1}`;
  const beyond = continued ? ` AND ${beyondSql(source, paramCount + 1)}` : "";
  return `SELECT ${json}, ${order.join(", ")} FROM
    (SELECT *, rowid AS place FROM ${table} WHERE ${filter}${beyond} ORDER BY ${order.join(", ")} LIMIT ${limit})`;
}

/** The first comparison alone lets DuckDB skip what lies before. */
function beyondSql({ order, stampType }: RowSource, firstParam: number): string {
  const columns = order.map((column) => (column === "place" ? "rowid" : column));
  const values = order.map((_, i) => `$${firstParam + i}::${i === 0 ? stampType : "BIGINT"}`);
  return `${columns[0]} >= ${values[0]} AND (${columns.join(", ")}) > (${values.join(", ")})`;
}

export async function readPage(session: Session, source: RowSource, query: PageQuery): Promise<Page> {
  const result = await session.run(query.sql, query.params);
  const page: Page = { texts: [], rows: 0, last: [] };
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return page;
    page.texts.push((chunk.getColumnValues(0) as string[]).join(","));
    page.rows += chunk.rowCount;
    const lastRow = chunk.rowCount - 1;
    page.last = source.order.map((_, i) => String(chunk.getColumnVector(i + 1).getItem(lastRow)));
  }
}

export interface RowStreamOptions {
  source: RowSource;
  filter: string;
  params: Param[];
  read(query: PageQuery): Promise<Page>;
  /** Gives the connection back. */
  release(): void;
}

/** Not a generator: one that was never begun would not run its `finally` on `return()`, and keep its connection. */
export class RowStream implements AsyncIterableIterator<string> {
  readonly #options: RowStreamOptions;
  #page: Page | null = null;
  #pieces: string[] = [];
  #reading: Promise<unknown> = Promise.resolve();
  #begun = false;
  #done = false;

  constructor(options: RowStreamOptions) {
    this.#options = options;
  }

  /** Reads the first page. */
  async begin(): Promise<void> {
    await this.#readNext();
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#done) return { done: true, value: undefined };
    try {
      if (this.#pieces.length === 0 && this.#page !== null) await this.#readNext();
      if (this.#done) return { done: true, value: undefined }; // given up meanwhile
      const piece = this.#pieces.shift();
      if (piece === undefined) {
        this.#end();
        return { done: false, value: "]}" };
      }
      const start = this.#begun ? "," : '{"data":[';
      this.#begun = true;
      return { done: false, value: start + piece };
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<string>> {
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #readNext(): Promise<void> {
    const { source, filter, params, read } = this.#options;
    const last = this.#page?.last ?? [];
    const continued = this.#page !== null;
    const reading = read({
      sql: pageSql(source, { filter, paramCount: params.length, continued }),
      params: [...params, ...last, PAGE_ROWS],
    });
    this.#reading = reading.catch(() => null);
    const page = await reading;
    this.#pieces = page.texts;
    this.#page = page.rows === PAGE_ROWS ? page : null;
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#pieces = [];
    // A page may still be on its way: the connection works on one call at a time.
    void this.#reading.then(() => this.#options.release());
  }
}
