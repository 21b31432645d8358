/** A question to `/v1`: asked when its answer is awaited or iterated. */

import type { Connection } from "./connection.ts";
import { stringifyExact } from "./exact-json.ts";
import { readRows } from "./ndjson.ts";

/** What an answer tells beside its rows. */
export interface Told {
  /** Sentences, such as that a ticker has no rows. */
  warnings: string[];
  /** Of an answer with `limit`: there are more rows. */
  nextPageToken: string | null;
  /** With `withPosition`: up to which update of each ticker the rows are whole. */
  epoch: string | null;
  positions: Record<string, number> | null;
}

export type Rows<Row> = Row[] & Told;
export type Columns<Row> = { [Name in keyof Row]: Row[Name][] };
/** Of a question: what isn't a parameter of the server. */
export interface Asking {
  signal?: AbortSignal | undefined;
}

type FileFormat = "arrow" | "parquet" | "csv";

interface Page<Row> extends Told {
  rows: Row[];
}

interface ColumnsAnswer {
  columns: Record<string, unknown[]>;
  next_page_token?: string | null;
  epoch?: string;
  positions?: Record<string, number>;
  warnings?: string[];
}

interface Asked<Row> {
  server: Connection;
  path: string;
  parameters: Record<string, unknown>;
  signal: AbortSignal | undefined;
  /** Its answer comes in pages, when it is iterated. */
  hasPages: boolean;
  /** Makes of a row on the wire what a program gets. */
  shape?: (row: Record<string, unknown>) => Row;
}

const PAGE_ROWS = 10_000;
const PAGE_ROWS_MAX = 100_000;
const NDJSON = "ndjson";

/**
 * - `await question` gives all rows, of one snapshot of the database. An answer that breaks off is
 *   asked for again as a whole.
 * - `for await (const row of question)` and `question.pages()` hold one page in memory. Each page
 *   is of a snapshot of its own.
 */
export class Question<Row> implements PromiseLike<Rows<Row>>, AsyncIterable<Row> {
  readonly #about: Asked<Row>;
  #rows: Promise<Rows<Row>> | null = null;

  constructor(about: Asked<Row>) {
    this.#about = about;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is awaited.
  then<Done = Rows<Row>, Failed = never>(
    done?: ((rows: Rows<Row>) => Done | PromiseLike<Done>) | null,
    failed?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Done | Failed> {
    return this.rows().then(done, failed);
  }

  /** All rows; asked for once, however often it is called. */
  rows(): Promise<Rows<Row>> {
    this.#rows ??= this.#page({}).then(asRows);
    return this.#rows;
  }

  /** All values by column. At most 500,000 rows. */
  async columns(): Promise<Columns<Row>> {
    const { columns } = await this.#columns();
    return columns as Columns<Row>;
  }

  /**
   * All rows as a table of an Arrow library, which reads the bytes:
   * `question.arrow(tableFromIPC)` with that of `apache-arrow`.
   */
  async arrow<Table>(read: (bytes: Uint8Array) => Table): Promise<Table> {
    return read(await this.bytes("arrow"));
  }

  /** The answer as a file of this format. */
  bytes(format: FileFormat): Promise<Uint8Array> {
    const { server } = this.#about;
    return server.ask(this.#ask(format, {}), async (answer) => {
      server.warn(toldBy(answer.headers).warnings);
      return new Uint8Array(await answer.arrayBuffer());
    });
  }

  /** @param rows Of a page, at most; up to 100,000. */
  async *pages(rows = PAGE_ROWS): AsyncGenerator<Rows<Row>, void, undefined> {
    const { hasPages, parameters } = this.#about;
    if (!hasPages) {
      yield await this.rows();
      return;
    }
    let left = (parameters.limit as number | undefined) ?? Number.POSITIVE_INFINITY;
    for (let token: string | null = null; ; ) {
      const limit = Math.min(left, rows, PAGE_ROWS_MAX);
      const page: Page<Row> = await this.#page({ limit, ...(token === null ? {} : { page_token: token }) });
      left -= page.rows.length;
      token = page.nextPageToken;
      if (page.rows.length > 0) yield asRows(page);
      if (token === null || left <= 0) return;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /**
   * Positions of many tickers are beside rows in JSON alone. Of one they are in the header, and a
   * long answer fits.
   */
  #page(more: Record<string, unknown>): Promise<Page<Row>> {
    const { server, parameters, shape } = this.#about;
    if (parameters.with_position === true && !isOfOneTicker(parameters)) return this.#columns(more);
    return server.ask(this.#ask(NDJSON, more), async (answer, alive) => {
      const rows = await readRows(answer, alive);
      const told = toldBy(answer.headers);
      server.warn(told.warnings);
      return { rows: shape === undefined ? (rows as Row[]) : rows.map(shape), ...told };
    });
  }

  #columns(more: Record<string, unknown> = {}): Promise<Page<Row> & { columns: Record<string, unknown[]> }> {
    const { server, shape } = this.#about;
    return server.ask(this.#ask("columns", more), async (answer) => {
      const { columns, next_page_token, epoch, positions, warnings } = (await answer.json()) as ColumnsAnswer;
      const names = Object.keys(columns);
      const rows = Array.from(columns[names[0]!] ?? [], (_, row) =>
        Object.fromEntries(names.map((name) => [name, columns[name]![row]])),
      );
      const told: Told = {
        warnings: warnings ?? [],
        nextPageToken: next_page_token ?? null,
        epoch: epoch ?? null,
        positions: positions ?? null,
      };
      server.warn(told.warnings);
      return { columns, rows: shape === undefined ? (rows as Row[]) : rows.map(shape), ...told };
    });
  }

  #ask(format: FileFormat | "ndjson" | "columns", more: Record<string, unknown>) {
    const { path, parameters, signal } = this.#about;
    return {
      ...{ path, signal, body: stringifyExact({ ...parameters, ...more, format }) },
      headers: { "content-type": "application/json" },
    };
  }
}

/**
 * The parameters of the server, of those of a program.
 * @param symbols one ticker or pattern, or several; none is left out.
 */
export function parametersOf(
  symbols: string | readonly string[] | null,
  options: object,
): { parameters: Record<string, unknown>; signal: AbortSignal | undefined } {
  const { signal, ...rest } = options as Asking & Record<string, unknown>;
  const parameters: Record<string, unknown> = {};
  if (symbols !== null && symbols.length > 0) parameters.symbols = symbols;
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined) parameters[snakeCase(name)] = isList(name, value) ? value.join(",") : value;
  return { parameters, signal };
}

export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Lists that the server takes as a text alone. */
function isList(name: string, value: unknown): value is string[] {
  return Array.isArray(value) && (name === "indicators" || name === "rightColumns");
}

function isOfOneTicker({ symbols, symbol }: Record<string, unknown>): boolean {
  if (symbol !== undefined) return true;
  const list = typeof symbols === "string" ? symbols.split(",") : (symbols as string[]);
  return list.length === 1 && !list[0]!.includes("*");
}

function asRows<Row>({ rows, ...told }: Page<Row>): Rows<Row> {
  const { warnings, nextPageToken, epoch, positions } = told;
  return Object.assign(rows, { warnings, nextPageToken, epoch, positions });
}

function toldBy(headers: Headers): Told {
  const json = (name: string) => JSON.parse(headers.get(name) ?? "null");
  return {
    warnings: json("warnings") ?? [],
    nextPageToken: headers.get("next-page-token"),
    epoch: headers.get("epoch"),
    positions: json("positions"),
  };
}
