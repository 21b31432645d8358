/**
 * Rows as columns: PostgreSQL's binary COPY, which is several times as fast as rows of a query, or
 * a cursor where a database of its kind has none. Either is one statement, and so one snapshot,
 * which keeps PostgreSQL from cleaning up: a walk has a bound.
 */
import { isStorable } from "../../market/storable-text.ts";
import { BatchCells, typeOfColumn } from "../column-cells.ts";
import { TransferRowError } from "../contract.ts";
import type { ColumnBatch, ColumnQuery, RowKey, WalkPositions } from "../model/columns.ts";
import { keyColumns, kindOf, partName, type RowKind, seriesColumns } from "../model/kinds.ts";
import { fillCells } from "./binary-cells.ts";
import type { PostgresConnection } from "./connection.ts";
import { CopiedRows } from "./copied-rows.ts";
import { isUnknownToDatabase, isWorthRepeating, requestErrorOf } from "./errors.ts";
import type { Lease, PostgresPool } from "./pool.ts";
import { runRead } from "./read.ts";
import type { LevelLease, Replicas } from "./replicas.ts";
import { anyLiteral, columnSql, microseconds, SQL_TYPES, stampParam } from "./sql-text.ts";
import { type PostgresUpdates, positionsIn } from "./updates.ts";

/** Some 2 ms of work. */
const BATCH_ROWS = 8_192;
/** COPY gives some kB at a time; more at once are taken apart faster. */
const BYTES_AT_ONCE = 64 * 1024;
const WALK_MAX_MS = 60 * 60_000;
/** What the other side may take for a batch of a cursor: nothing else bounds it there. */
const BATCH_TAKEN_MAX_MS = 10 * 60_000;
const CURSOR = "walk";
const TRIES = 2;

export class ColumnReader {
  readonly #pool: PostgresPool;
  readonly #updates: PostgresUpdates;
  readonly #replicas: Replicas | null;
  #hasCopy = true;

  constructor(pool: PostgresPool, updates: PostgresUpdates, replicas: Replicas | null = null) {
    this.#pool = pool;
    this.#updates = updates;
    this.#replicas = replicas;
  }

  /** @throws RequestError 503 @throws TransferRowError */
  async *read(query: ColumnQuery): AsyncGenerator<ColumnBatch> {
    const tickers = query.tickers?.filter(isStorable) ?? null;
    const parts = query.parts?.filter(isStorable) ?? null;
    const stored = { ...query, tickers, parts };
    const isEmpty = tickers?.length === 0 || parts?.length === 0;
    if (isEmpty && query.onPositions === undefined) return;
    let replicas = isOfPrimary(query) ? null : this.#replicas;
    for (let attempt = 1; ; attempt++) {
      let level: LevelLease | null = null;
      const lend = async (): Promise<Lease> => {
        level = (await replicas?.take("stream", query.signal)) ?? null;
        replicas = null;
        return level?.lease ?? (await this.#pool.acquire("stream", query.signal));
      };
      let isBegun = false;
      // Those of a walk that breaks before its first batch, and is begun anew, nobody hears.
      let found: WalkPositions | null = null;
      const begin = (): void => {
        if (!isBegun && found !== null) query.onPositions?.(found);
        isBegun = true;
      };
      const onPositions =
        query.onPositions &&
        ((positions: WalkPositions) => {
          found = positions;
        });
      try {
        for await (const batch of this.#walk({ ...stored, onPositions }, isEmpty, lend)) {
          begin();
          yield batch;
        }
        begin();
        return;
      } catch (error) {
        const replica = level as LevelLease | null;
        if (replica !== null && !isBegun && !query.signal?.aborted) {
          replica.failed(error);
          attempt = 0;
        } else if (!isBegun && this.#hasCopy && isUnknownToDatabase(error)) this.#hasCopy = false;
        else if (error instanceof TransferRowError) throw await this.#named(error, stored);
        else if (isBegun || !isWorthRepeating(error) || attempt === TRIES) {
          if (replica === null) this.#pool.noteFailure(error);
          throw requestErrorOf(error, "read");
        }
      }
    }
  }

  /** With the first row that can't have been saved, if it is there still. */
  async #named({ message }: TransferRowError, query: ColumnQuery): Promise<TransferRowError> {
    const kind = kindOf(query.kind);
    const at = `p.${columnSql(kind.stamp.name)}`;
    const wrong = [
      ...(kind.stamp.type === "second" ? [`${at} <> pg_catalog.date_trunc('second', ${at})`] : []),
      ...(kind.hasSeq ? [`abs(p.seq) > ${Number.MAX_SAFE_INTEGER}`] : []),
    ];
    const names = [...seriesColumns(kind), kind.stamp.name];
    const sql = selection(
      { ...query, columns: names },
      (name, index) => `${textCell(kind, name)} AS c${index}`,
      [`(${wrong.join(" OR ")})`],
    );
    const [row] = await runRead<Record<string, string>>(this.#pool, `${sql} LIMIT 1`);
    if (row === undefined) return new TransferRowError(message);
    const { c0: ticker, c1, c2 } = row;
    const [part, stamp] = kind.part === null ? [null, c1] : [c1!, c2];
    return new TransferRowError(`${ticker} ${partName(query.kind, part)} ${stamp}: ${message}`);
  }

  async *#walk(
    query: ColumnQuery,
    isEmpty: boolean,
    lend: () => Promise<Lease>,
  ): AsyncGenerator<ColumnBatch> {
    const { tickers, onPositions } = query;
    // Two statements, of one snapshot.
    const isolation = onPositions === undefined ? "" : ", ISOLATION LEVEL REPEATABLE READ";
    const epoch = onPositions === undefined ? "" : await this.#updates.epoch();
    const lease = await lend();
    const { connection } = lease;
    let ended = false;
    try {
      await connection.run(
        `BEGIN READ ONLY${isolation}; SET LOCAL statement_timeout = ${WALK_MAX_MS};
         SET LOCAL idle_in_transaction_session_timeout = ${BATCH_TAKEN_MAX_MS}`,
      );
      onPositions?.({ epoch, positions: await positionsIn(connection, tickers) });
      if (!isEmpty) yield* this.#hasCopy ? copied(connection, query) : fetched(connection, query);
      await connection.run("COMMIT");
      ended = true;
    } finally {
      if (ended) lease.release();
      else await undo(lease);
    }
  }
}

/**
 * What the server reads for itself, and what is compared with positions: a replica may show a
 * commit a moment before the primary does.
 */
function isOfPrimary({ line, isCompared, onPositions }: ColumnQuery): boolean {
  return line === "server" || isCompared === true || onPositions !== undefined;
}

async function undo(lease: Lease): Promise<void> {
  let undone = false;
  try {
    await lease.connection.run("ROLLBACK");
    undone = true;
  } catch {
    // Then the transaction ends with its connection.
  } finally {
    lease.release(!undone);
  }
}

async function* copied(connection: PostgresConnection, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const kind = kindOf(query.kind);
  const rows = new CopiedRows(query.columns.length, BATCH_ROWS);
  const batch = new BatchCells(kind, query.columns, BATCH_ROWS);
  const sql = `COPY (${selection(query, (name) => binaryCell(kind, name))}) TO STDOUT (FORMAT binary)`;
  for await (const piece of connection.copyOut(sql, query.signal)) {
    rows.push(piece);
    if (rows.waiting < BYTES_AT_ONCE) continue;
    while (take(batch, rows)) {
      if (batch.room > 0) continue;
      yield batch.end();
      await new Promise(setImmediate);
      query.signal?.throwIfAborted();
    }
  }
  query.signal?.throwIfAborted();
  while (take(batch, rows)) if (batch.room === 0) yield batch.end();
  if (batch.rows > 0) yield batch.end();
}

async function* fetched(connection: PostgresConnection, query: ColumnQuery): AsyncGenerator<ColumnBatch> {
  const { signal, kind: name } = query;
  const kind = kindOf(name);
  const batch = new BatchCells(kind, query.columns, BATCH_ROWS);
  const sql = selection(query, (column, index) => `${textCell(kind, column)} AS c${index}`);
  await connection.run(`DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${sql}`, [], { signal });
  for (;;) {
    const rows = await connection.run<Record<string, string | number | null>>(
      `FETCH ${BATCH_ROWS} FROM ${CURSOR}`,
      [],
      {
        signal,
      },
    );
    if (rows.length === 0) return;
    for (const row of rows) batch.add(Object.values(row));
    yield batch.end();
  }
}

/** @returns False: no row has come whole. */
function take(batch: BatchCells, copied: CopiedRows): boolean {
  const rows = copied.find(batch.room);
  for (const [column, cells] of batch.columns.entries())
    fillCells(cells, { copied, column, rows }, batch.rows);
  batch.rows += rows;
  return rows > 0;
}

/** Without parameters, which COPY takes none of. @param cell of the table `p`. */
function selection(
  query: ColumnQuery,
  cell: (column: string, index: number) => string,
  also: string[] = [],
): string {
  const { kind: name, tickers, parts, from, to, columns, order, limit, after } = query;
  const kind = kindOf(name);
  const at = `p.${columnSql(kind.stamp.name)}`;
  const stamp = (text: string | null, edge: "first" | "last"): string =>
    `${anyLiteral(stampParam(kind, text, edge))}::${SQL_TYPES[kind.stamp.type]}`;
  const where = [
    ...(tickers === null ? [] : [`p.ticker IN (${tickers.map(anyLiteral).join(", ")})`]),
    ...(parts === null || kind.part === null
      ? []
      : [`p.${columnSql(kind.part)} IN (${parts.map(anyLiteral).join(", ")})`]),
    `${at} >= ${stamp(from, "first")}`,
    `${at} <= ${stamp(to, "last")}`,
    ...(after == null ? [] : behindSql(kind, after, query)),
    ...also,
  ];
  const key = keyColumns(kind);
  const isSeries = (column: string): boolean => seriesColumns(kind).includes(column);
  const direction = (column: string): string => (order === "descending" && !isSeries(column) ? " DESC" : "");
  return `SELECT ${columns.map(cell).join(", ")} FROM ${kind.table} p WHERE ${where.join(" AND ")}
    ORDER BY ${key.map((column) => `p.${columnSql(column)}${direction(column)}`).join(", ")}
    ${limit == null ? "" : `LIMIT ${limit}`}`;
}

/** Comparisons of whole keys, where the index can find them. */
function behindSql(kind: RowKind, key: RowKey, { tickers, parts, order }: ColumnQuery): string[] {
  const at = `p.${columnSql(kind.stamp.name)}`;
  const than = order === "descending" ? "<" : ">";
  const stamp = `${anyLiteral(stampParam(kind, key.stamp, "first"))}::${SQL_TYPES[kind.stamp.type]}`;
  const rowCells: [string, string][] = [
    [at, stamp],
    ...(kind.hasSeq ? [["p.seq", `${key.seq}::bigint`] satisfies [string, string]] : []),
  ];
  const isOnly = (names: readonly string[] | null, name: string | null): boolean =>
    names?.length === 1 && names[0] === name;
  const seriesCells: [string, string][] = [
    ["p.ticker", anyLiteral(key.ticker)],
    ...(kind.part === null
      ? []
      : [[`p.${columnSql(kind.part)}`, anyLiteral(key.part ?? "")] satisfies [string, string]]),
  ];
  const compared = (cells: [string, string][], by: string): string =>
    `(${cells.map(([cell]) => cell).join(", ")}) ${by} (${cells.map(([, value]) => value).join(", ")})`;
  if (isOnly(tickers, key.ticker) && (kind.part === null || isOnly(parts, key.part)))
    return [compared(rowCells, than)];
  if (than === ">") return [compared([...seriesCells, ...rowCells], than)];
  return [compared(seriesCells, ">="), `(${compared(seriesCells, ">")} OR ${compared(rowCells, than)})`];
}

function binaryCell(kind: RowKind, column: string): string {
  return `p.${columnSql(column)}::${SQL_TYPES[typeOfColumn(kind, column)]}`;
}

function textCell(kind: RowKind, column: string): string {
  const cell = `p.${columnSql(column)}`;
  const type = typeOfColumn(kind, column);
  return type === "second" || type === "instant" ? microseconds(cell) : `${cell}::text`;
}
