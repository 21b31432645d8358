/**
 * A worker's reads. A small answer is read at once; one of more than `CHUNK_ROWS` rows is streamed
 * from a snapshot. See DESIGN.md "Readers".
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import type { MarketDay } from "../../market/market-day.ts";
import type {
  JsonRows,
  NewestOfPartsQuery,
  NewestQuery,
  Note,
  PoolFigures,
  RangeRead,
  RowRange,
  StockReader,
} from "../contract.ts";
import { rowWithExtra } from "../extra-json.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import {
  type AnswerForm,
  answerColumns,
  byKind,
  hasExtra,
  type KindName,
  kindOf,
  NOTES_TABLE,
  type RowKind,
  seriesColumns,
  TABLE_NAMES,
} from "../model/kinds.ts";
import { OpenedFile } from "../opened-file.ts";
import { type PiecesSource, RowPieces, type RowsPiece } from "../row-pieces.ts";
import { WaitingLine } from "../waiting-line.ts";
import { answerSql, rowToWire } from "./answer-columns.ts";
import { readColumns } from "./columns.ts";
import { openReaderConnection } from "./connection.ts";
import { storedParts, storedTickers } from "./distinct-values.ts";
import { SQLITE_FORMAT } from "./file-format.ts";
import { PartPages } from "./part-pages.ts";
import { asUnavailable, ReadingConnection } from "./reading-connection.ts";
import { SqliteUpdates } from "./updates.ts";

/**
 * Reading and encoding so many rows takes about 2 ms. No read holds up other clients for longer.
 */
const CHUNK_ROWS = 1_000;
/** Further ones get 503. */
const STREAMS_WAITING_MAX = 100;
/** A stream that gets no connection in this time gets 503. */
const STREAM_WAIT_MS = 10_000;
/** Bounds of an unbounded range: every stored stamp begins with a digit. */
const FIRST = "";
const LAST = "~";

const SECOND_LENGTH = "2024-01-02 10:00:00".length;

type Row = Record<string, unknown>;
type Params = SQLQueryBindings[];

function rangeSql(kind: RowKind, direction: RangeRead, form: AnswerForm): string {
  const stamp = kind.stamp.name;
  const order = [stamp, ...(kind.hasSeq ? ["seq"] : [])]
    .map((column) => `${column}${direction === "newest" ? " DESC" : ""}`)
    .join(", ");
  const columns = answerColumns(kind, form).map(answerSql);
  const series = seriesColumns(kind).map((name) => `${name} = ?`);
  return `SELECT ${columns.join(", ")} FROM ${kind.table}
    WHERE ${series.join(" AND ")} AND ${stamp} >= ? AND ${stamp} <= ? ORDER BY ${order}`;
}

/** Which of a kind's statements is meant: their number is small. */
function placeOf(direction: RangeRead, { withSeq, withExtra }: AnswerForm): number {
  return (direction === "newest" ? 4 : 0) + (withSeq === true ? 2 : 0) + (withExtra === true ? 1 : 0);
}

const FORMS = [false, true].flatMap((withSeq) => [false, true].map((withExtra) => ({ withSeq, withExtra })));
/** By `placeOf`. */
const RANGE_SQL = byKind((kind) =>
  (["rows", "newest"] as const).flatMap((direction) => FORMS.map((form) => rangeSql(kind, direction, form))),
);
const TO_WIRE = byKind((kind) => rowToWire(answerColumns(kind), kind.writtenForm === "wire"));
/** Null without any trades. `sum` would fail where integers together exceed 64 bits. */
const TRADED_SQL = `SELECT CASE WHEN count(size) > 0 THEN total(size) END AS volume FROM realtime_data
  WHERE ticker = ? AND type = 'trade' AND timestamp >= ? AND timestamp <= ?`;
/** The newest stamp counts, of equal ones the first. A date is before all moments of that day. */
const LAST_PRICE_SQL = [
  ...["type = 'quote' AND (price > 0 OR size IS NOT 0)", "type = 'trade'"].map(
    (ofType) => `SELECT price AS price, timestamp AS stamp FROM realtime_data
      WHERE ticker = ? AND ${ofType} AND price IS NOT NULL ORDER BY timestamp DESC, seq DESC LIMIT 1`,
  ),
  "SELECT close AS price, datetime AS stamp FROM hourly_prices WHERE ticker = ? AND close IS NOT NULL ORDER BY datetime DESC LIMIT 1",
  "SELECT close AS price, date AS stamp FROM daily_prices WHERE ticker = ? AND close IS NOT NULL ORDER BY date DESC LIMIT 1",
];

interface RowsRead {
  sql: string;
  params: Params;
  encode(rows: Row[]): string;
  signal: AbortSignal | undefined;
}

export class SqliteReader implements StockReader {
  readonly updates: SqliteUpdates;
  readonly #path: string;
  readonly #connection: ReadingConnection;
  readonly file: OpenedFile;
  readonly #poolSize: number;
  readonly #idle: Database[] = [];
  readonly #line: WaitingLine<Database>;
  #streamConnections = 0;
  #stale = 0;
  /** By `placeOf`; null until one is asked for. */
  readonly #ranges: Record<KindName, (Statement<Row, Params> | null)[]>;
  readonly #lastPrices: Statement<Row, Params>[];
  readonly #lastCloses: Statement<Row, Params>;
  readonly #open: Statement<Row, Params>;
  readonly #volume: Statement<Row, Params>;
  readonly #traded: Statement<Row, Params>;
  readonly #probe: Statement<Row, Params>;
  readonly #notes: Statement<Row, Params>;

  /** @param isFrame A stored update that isn't one counts as not kept. */
  constructor(path: string, poolSize: number, isFrame: (stored: string) => boolean = () => true) {
    this.#path = path;
    this.#poolSize = Math.max(2, poolSize);
    this.#line = new WaitingLine({
      what: "read",
      max: STREAMS_WAITING_MAX,
      full: `all ${this.#poolSize} connections are in use and ${STREAMS_WAITING_MAX} reads wait`,
      late: `all ${this.#poolSize} connections stayed in use`,
    });
    this.#connection = new ReadingConnection(path, () => this.file.checkForRead());
    this.file = new OpenedFile(path, SQLITE_FORMAT);
    this.updates = new SqliteUpdates(this.#connection, isFrame);
    const prepare = (sql: string): Statement<Row, Params> => this.#connection.prepare<Row>(sql);
    this.#ranges = byKind((_, name) => RANGE_SQL[name].map(() => null));
    this.#lastPrices = LAST_PRICE_SQL.map(prepare);
    this.#lastCloses = prepare("SELECT close FROM daily_prices WHERE ticker = ? ORDER BY date DESC LIMIT 2");
    this.#open = prepare("SELECT open FROM daily_prices WHERE ticker = ? AND date = ?");
    this.#volume = prepare("SELECT volume FROM daily_prices WHERE ticker = ? AND date = ?");
    this.#traded = prepare(TRADED_SQL);
    this.#notes = prepare(
      `SELECT name, value FROM ${NOTES_TABLE} WHERE name >= ? AND name <= ? ORDER BY name LIMIT ?`,
    );
    this.#probe = prepare(
      `SELECT ${TABLE_NAMES.map((table) => `(SELECT 1 FROM ${table} LIMIT 1)`).join(", ")}`,
    );
  }

  rows(range: RowRange, signal?: AbortSignal): JsonRows | Promise<JsonRows> {
    return this.#connection.read(() => {
      const place = placeOf("rows", range);
      const params = paramsOf(range);
      const first = this.#range(range.kind, place).all(...params, CHUNK_ROWS + 1);
      if (first.length === 0) return { empty: true };
      const encode = encoderOf(range.kind, range);
      if (first.length <= CHUNK_ROWS) return answerOf(encode(first), first.length);
      return this.#stream({ sql: RANGE_SQL[range.kind][place]!, params, encode, signal });
    });
  }

  newest(query: NewestQuery): JsonRows {
    return this.#connection.read(() => {
      const statement = this.#range(query.kind, placeOf("newest", query));
      const rows = statement.all(...paramsOf(query), query.limit).reverse();
      if (rows.length === 0) return { empty: true };
      return answerOf(encoderOf(query.kind, query)(rows), rows.length);
    });
  }

  newestOfParts(query: NewestOfPartsQuery, signal?: AbortSignal): JsonRows | Promise<JsonRows> {
    return this.#connection.read(() => {
      using pages = new PartPages(this.#connection.db, query);
      const rows = pages.next();
      if (!pages.isLast) return this.#streamParts(query, signal);
      return rows.length === 0 ? { empty: true } : answerOf(JSON.stringify(rows), rows.length);
    });
  }

  #range(kind: KindName, place: number): Statement<Row, Params> {
    const statements = this.#ranges[kind];
    statements[place] ??= this.#connection.prepare<Row>(`${RANGE_SQL[kind][place]} LIMIT ?`);
    return statements[place];
  }

  latestPrice(ticker: string): number | null {
    return this.#connection.read(() => {
      let price: number | null = null;
      let newest = "";
      for (const statement of this.#lastPrices) {
        const row = statement.get(ticker);
        if (row === null || !Number.isFinite(row.price)) continue;
        const stamp = momentOf(String(row.stamp));
        if (stamp <= newest) continue;
        newest = stamp;
        price = row.price as number;
      }
      return price;
    });
  }

  previousClose(ticker: string): number | null {
    return this.#connection.read(() => {
      const rows = this.#lastCloses.all(ticker);
      return (rows.at(-1)?.close ?? null) as number | null;
    });
  }

  openingPrice(ticker: string, { date }: MarketDay): number | null {
    return this.#connection.read(() => {
      return (this.#open.get(ticker, date)?.open ?? null) as number | null;
    });
  }

  dailyVolume(ticker: string, { date, from, to }: MarketDay): number | null {
    return this.#connection.read(() => {
      const ofBar = this.#volume.get(ticker, date)?.volume ?? null;
      if (ofBar !== null) return ofBar as number;
      const ofTrades = this.#traded.get(ticker, from, to)?.volume;
      return (ofTrades ?? null) as number | null;
    });
  }

  tickers(kind: KindName, after: string | null, limit: number): string[] {
    return this.#connection.read(() => storedTickers(this.#connection.db, kind, after, limit));
  }

  notes(from: string, to: string, limit: number): Note[] {
    return this.#connection.read(() =>
      this.#notes.all(from, to, limit).map(({ name, value }): Note => [String(name), String(value)]),
    );
  }

  parts(kind: KindName, ticker: string): string[] {
    return this.#connection.read(() => storedParts(this.#connection.db, kind, ticker));
  }

  /** On a connection of its own, whose snapshot ends with the walk. */
  async *columns(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    const look = (): void => this.file.checkForRead();
    try {
      yield* readColumns({ open: () => openReaderConnection(this.#path), look }, query);
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  sizeBytes(): number {
    const size = this.#connection.db.query<{ bytes: number }, []>(
      "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()",
    );
    return size.get()?.bytes ?? 0;
  }

  probe(): void {
    this.file.check();
    this.#probe.all();
  }

  pool(): PoolFigures {
    const busy = this.#streamConnections - this.#idle.length;
    return {
      pool_enabled: true,
      pool_max_size: this.#poolSize,
      available_connections: this.#poolSize - 1 - busy,
      active_connections: 1 + busy,
      stale_connections: this.#stale,
    };
  }

  close(): void {
    for (const db of this.#idle) db.close();
    this.#idle.length = 0;
    this.#connection.close();
  }

  async #stream({ sql, params, encode, signal }: RowsRead): Promise<JsonRows> {
    const db = await this.#checkOut(signal);
    let statement: Statement<Row, Params>;
    let rows: IterableIterator<Row>;
    let first: Row[];
    try {
      statement = db.prepare<Row, Params>(sql);
      rows = statement.iterate(...params);
      first = take(rows, CHUNK_ROWS); // opens the snapshot, and finds errors while a status can still be sent
    } catch (error) {
      this.#discard(db);
      throw asUnavailable(error);
    }
    const release = (): void => {
      statement.finalize();
      this.#checkIn(db);
    };
    const look = (): void => this.file.checkForRead();
    return { empty: false, chunks: new RowPieces(piecesOf({ first, rows, encode, release, look })) };
  }

  /** Page by page, from one snapshot. */
  async #streamParts(query: NewestOfPartsQuery, signal: AbortSignal | undefined): Promise<JsonRows> {
    const db = await this.#checkOut(signal);
    const pages = new PartPages(db, query);
    const end = (): void => {
      pages[Symbol.dispose]();
      if (db.inTransaction) db.run("ROLLBACK");
      this.#checkIn(db);
    };
    const nextRows = async (): Promise<Row[]> => {
      for (;;) {
        await new Promise(setImmediate);
        this.file.checkForRead();
        const rows = pages.next();
        if (rows.length > 0 || pages.isLast) return rows;
      }
    };
    try {
      db.run("BEGIN");
      let ahead: Row[] | null = await nextRows();
      if (ahead.length === 0) {
        end();
        return { empty: true };
      }
      const next = async (): Promise<RowsPiece> => {
        const rows = ahead ?? (await nextRows());
        ahead = null;
        return { rows: JSON.stringify(rows).slice(1, -1), count: rows.length, isLast: pages.isLast };
      };
      return { empty: false, chunks: new RowPieces({ next, end }) };
    } catch (error) {
      pages[Symbol.dispose]();
      this.#discard(db);
      throw asUnavailable(error);
    }
  }

  async #checkOut(signal: AbortSignal | undefined): Promise<Database> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#streamConnections < this.#poolSize - 1) return this.#openConnection();
    return this.#line.wait(STREAM_WAIT_MS, signal);
  }

  #openConnection(): Database {
    try {
      const db = openReaderConnection(this.#path);
      this.#streamConnections++;
      return db;
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  #checkIn(db: Database): void {
    if (!this.#line.give(db)) this.#idle.push(db);
  }

  #discard(db: Database): void {
    this.#stale++;
    db.close(false);
    this.#streamConnections--;
    if (this.#line.length === 0) return;
    try {
      this.#checkIn(this.#openConnection());
    } catch (error) {
      // With no connection left, none would come free for those who wait.
      while (this.#streamConnections === 0 && this.#line.length > 0) this.#line.fail(error);
    }
  }
}

/** Of an hour, as of a tick: the two are compared. */
function momentOf(stamp: string): string {
  return stamp.length === SECOND_LENGTH ? `${stamp}.000000` : stamp;
}

function paramsOf({ ticker, part, from, to }: Omit<RowRange, "kind">): Params {
  const bounds = [from ?? FIRST, to ?? LAST];
  return part === null ? [ticker, ...bounds] : [ticker, part, ...bounds];
}

/** Changes the rows. */
function encoderOf(kind: KindName, { withExtra }: AnswerForm): (rows: Row[]) => string {
  const toWireRow = TO_WIRE[kind];
  return (rows) => {
    for (const row of rows) toWireRow(row);
    return withExtra === true && hasExtra(kindOf(kind))
      ? `[${rows.map(rowWithExtra).join(",")}]`
      : JSON.stringify(rows);
  };
}

function take(rows: Iterator<Row>, count: number): Row[] {
  const taken: Row[] = [];
  while (taken.length < count) {
    const next = rows.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}

interface OpenStream {
  first: Row[];
  rows: IterableIterator<Row>;
  encode(rows: Row[]): string;
  release(): void;
  /** Throws when the file can't be read any more. */
  look(): void;
}

/** @param list the rows in JSON. */
function answerOf(list: string, rows: number): JsonRows {
  return { empty: false, text: `{"data":${list}}`, rows };
}

function piecesOf({ first, rows, encode, release, look }: OpenStream): PiecesSource {
  let next: Row[] | null = first;
  return {
    async next() {
      // A promise that is already settled would come back before any other socket is looked at.
      if (next === null) await new Promise(setImmediate);
      look();
      const chunk = next ?? take(rows, CHUNK_ROWS);
      next = null;
      return {
        rows: encode(chunk).slice(1, -1),
        count: chunk.length,
        isLast: chunk.length < CHUNK_ROWS,
      };
    },
    end() {
      rows.return?.();
      release();
    },
  };
}
