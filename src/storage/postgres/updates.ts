/** Reads the update log: see ARCHITECTURE.md "Updates and positions". */

import { KIND_NAMES, type KindName, kindOf, partName, type RowKind, withoutSeq } from "../model/kinds.ts";
import { unpackUpdates } from "../packed-frames.ts";
import type {
  NewestRow,
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import type { PostgresConnection } from "./connection.ts";
import { distinctSql } from "./distinct-values.ts";
import { failureOf } from "./errors.ts";
import type { PostgresPool } from "./pool.ts";
import { runRead } from "./read.ts";
import { columnSql, rowCells, storedRow } from "./sql-text.ts";

/** Behind a pool in between, another server may take over unseen. */
const EPOCH_UNSEEN_MAX_MS = 2_000;

const EPOCH_SQL = "SELECT epoch FROM update_epoch ORDER BY epoch LIMIT 1";
/** Another timeline or system identifier makes another epoch: see DESIGN.md, "Epoch". */
const INCARNATION_SQL = `SELECT pg_catalog.md5((SELECT system_identifier FROM pg_control_system())::text || '/' ||
  CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE pg_catalog.substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END) AS incarnation`;
const ALL_POSITIONS_SQL = "SELECT ticker, seq::float8 AS seq FROM update_positions";
const POSITIONS_SQL = `SELECT p.ticker, p.seq::float8 AS seq FROM pg_catalog.unnest($1::text[]) AS w(ticker)
  JOIN update_positions p ON p.ticker = w.ticker`;
/** The log's time may be the later one: see LOG_SQL. */
const NEWEST_SQL = `SELECT p.seq::float8 AS seq, greatest(p.saved_at, l.saved_at)::float8 AS saved_at
  FROM update_positions p LEFT JOIN update_log l ON l.ticker = p.ticker AND l.seq = p.seq WHERE p.ticker = $1`;
const AFTER_SQL = `SELECT seq::float8 AS seq, type, frame, saved_at::float8 AS saved_at FROM (
    SELECT n.*, pg_catalog.sum(pg_catalog.octet_length(n.frame)) OVER (ORDER BY n.seq) AS running FROM (
      SELECT seq, type, frame, saved_at FROM update_log
      WHERE ticker = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3::bigint) n
  ) r WHERE running <= $4::bigint OR running = pg_catalog.octet_length(frame) ORDER BY r.seq`;

/** Marks the row of the snapshot that holds the position; others have the index of their kind. */
const POSITION = -1;

/** @param part SQL of the part. */
function newestSql(kind: RowKind, index: number, part: string): string {
  const at = `p.${columnSql(kind.stamp.name)} DESC`;
  const isPart = kind.part === null ? "" : ` AND p.${columnSql(kind.part)} = ${part}`;
  const cells = rowCells(kind).map((cell) => `(${cell})::text`);
  return `SELECT ${index} AS kind, ${part} AS part, pg_catalog.to_json(array[${cells.join(", ")}])::text AS cells
    FROM ${kind.table} p WHERE p.ticker = $1${isPart} ORDER BY ${at}${kind.hasSeq ? ", p.seq DESC" : ""} LIMIT 1`;
}

function newestOfEachSql(kind: RowKind, index: number): string {
  return `${distinctSql(kind.table, columnSql(kind.part!), "t.ticker = $1")}
    SELECT n.* FROM found JOIN LATERAL (${newestSql(kind, index, "found.value")}) n ON true
    WHERE found.value IS NOT NULL`;
}

/** One statement sees the database of one moment. */
const SNAPSHOT_SQL = [
  `SELECT ${POSITION} AS kind, NULL::text AS part,
    pg_catalog.to_json(array[(SELECT p.seq FROM update_positions p WHERE p.ticker = $1)::text])::text AS cells`,
  ...KIND_NAMES.flatMap((name, index) => {
    const kind = kindOf(name);
    if (kind.snapshotParts?.length === 0) return [];
    if (kind.part === null) return [newestSql(kind, index, "NULL::text")];
    if (kind.snapshotParts === null) return [newestOfEachSql(kind, index)];
    return kind.snapshotParts.map((part) => newestSql(kind, index, `'${part}'::text`));
  }),
]
  .map((select) => `(${select})`)
  .join(" UNION ALL ");

interface SnapshotRow {
  kind: number;
  part: string | null;
  cells: string;
}

type Cells = (string | null)[];

const BYTES_SQL = "SELECT coalesce(pg_catalog.sum(p.bytes), 0)::float8 AS bytes FROM update_log_parts p";
const OLDEST_SQL = "SELECT l.saved_at::float8 AS saved_at FROM update_log l ORDER BY l.id LIMIT 1";

export class PostgresUpdates implements UpdateReader {
  readonly #pool: PostgresPool;
  #epoch: { text: string; opened: number; readAtMs: number } | null = null;
  /** Null: not known yet. */
  #tellsIncarnation: boolean | null = null;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async epoch(): Promise<string> {
    const known = this.#epoch;
    const isFresh =
      known !== null &&
      known.opened === this.#pool.opened &&
      !(this.#pool.pooled && performance.now() - known.readAtMs > EPOCH_UNSEEN_MAX_MS);
    if (isFresh) return known.text;
    const { opened } = this.#pool;
    const [row] = await runRead<{ epoch: string }>(this.#pool, EPOCH_SQL);
    const text = [row?.epoch ?? "none", ...(await this.#incarnation())].join("-");
    this.#epoch = { text, opened, readAtMs: performance.now() };
    return text;
  }

  async positions(tickers: readonly string[] | null): Promise<Map<string, number>> {
    return positionsOf(await runRead(this.#pool, ...positionsSql(tickers)));
  }

  async newest(ticker: string): Promise<NewestUpdate> {
    const rows = await runRead<{ seq: number; saved_at: number }>(this.#pool, NEWEST_SQL, [ticker]);
    const { seq = 0, saved_at: savedAtMs = 0 } = rows[0] ?? {};
    return { position: seq, savedAtMs };
  }

  async after(ticker: string, after: number, limit: UpdateLimit): Promise<StoredUpdate[]> {
    const { updates, characters } = limit;
    const rows = await runRead<{ seq: number; type: string; frame: string; saved_at: number }>(
      this.#pool,
      AFTER_SQL,
      [ticker, after, Math.max(1, updates), characters],
    );
    // Trimming leaves holes where ids aren't in order; the next question reads behind a hole.
    const holeAt = rows.findIndex(({ seq }, index) => index > 0 && seq !== rows[index - 1]!.seq + 1);
    const logged = (holeAt < 0 ? rows : rows.slice(0, holeAt)).map(
      ({ seq: position, type, frame, saved_at: savedAtMs }) => ({ position, type, frame, savedAtMs }),
    );
    return unpackUpdates(logged, limit);
  }

  async keptSinceMs(): Promise<number | null> {
    const rows = await runRead<{ saved_at: number }>(this.#pool, OLDEST_SQL);
    return rows[0]?.saved_at ?? null;
  }

  /** As the last trimming has counted them. */
  async logBytes(): Promise<number> {
    const [row] = await runRead<{ bytes: number }>(this.#pool, BYTES_SQL);
    return row!.bytes;
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const rows = await runRead<SnapshotRow>(this.#pool, SNAPSHOT_SQL, [ticker]);
    const snapshot: TickerSnapshot = { position: 0, newest: [] };
    for (const { kind: index, part, cells } of rows) {
      const values = JSON.parse(cells) as Cells;
      if (index === POSITION) snapshot.position = Number(values[0] ?? 0);
      else snapshot.newest.push(newestRow(KIND_NAMES[index]!, part, values, ticker));
    }
    return snapshot;
  }

  /** Empty if the database refuses to tell. */
  async #incarnation(): Promise<string[]> {
    if (this.#tellsIncarnation === false) return [];
    try {
      const [row] = await runRead<{ incarnation: string }>(this.#pool, INCARNATION_SQL);
      this.#tellsIncarnation = true;
      return [row!.incarnation.slice(0, 8)];
    } catch (error) {
      // After it has told once, a refusal is no other epoch.
      if (this.#tellsIncarnation === true || failureOf(error)?.kind !== "refused") throw error;
      this.#tellsIncarnation = false;
      return [];
    }
  }
}

/** In the transaction of the connection. */
export async function positionsIn(
  connection: PostgresConnection,
  tickers: readonly string[] | null,
): Promise<Map<string, number>> {
  return positionsOf(await connection.run(...positionsSql(tickers)));
}

function positionsSql(tickers: readonly string[] | null): [sql: string, params: unknown[]] {
  if (tickers === null) return [ALL_POSITIONS_SQL, []];
  return [POSITIONS_SQL, [tickers.filter((ticker) => !ticker.includes("\0"))]];
}

function positionsOf(rows: { ticker: string; seq: number }[]): Map<string, number> {
  return new Map(rows.map(({ ticker, seq }) => [ticker, seq]));
}

function newestRow(name: KindName, part: string | null, cells: Cells, ticker: string): NewestRow {
  const kind = kindOf(name);
  const typed = cells.map((cell, index) =>
    kind.values[index - 1]?.type === "double" ? numberOf(cell) : cell,
  );
  return {
    kind: name,
    part,
    row: withoutSeq(name, storedRow(typed, kind, `${ticker} ${partName(name, part)}`)),
  };
}

/** Other programs may have stored NaN and infinities, which JSON can't hold. */
function numberOf(text: string | null | undefined): number | null {
  const number = text == null ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}
