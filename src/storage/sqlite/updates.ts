/**
 * A worker's side of the update log. Each answer is read from one snapshot, since the writer moves
 * updates to the index meanwhile.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { unavailable } from "../../protocol/errors.ts";
import { TransferRowError } from "../contract.ts";
import type { WalkPositions } from "../model/columns.ts";
import {
  byKind,
  KIND_NAMES,
  type KindName,
  partName,
  type RowKind,
  type SeriesRow,
  seriesColumns,
  snapshotParts,
  withoutSeq,
} from "../model/kinds.ts";
import { frameLength, unpackFrame } from "../packed-frames.ts";
import type {
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import { storedParts } from "./distinct-values.ts";
import type { ReadingConnection } from "./reading-connection.ts";
import { rowColumns, storedRow } from "./stored-row.ts";

type Params = SQLQueryBindings[];

export class SqliteUpdates implements UpdateReader {
  readonly #connection: ReadingConnection;
  readonly #isFrame: (stored: string) => boolean;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #newestRows: Record<KindName, Statement<unknown, Params>>;
  readonly #tail = new Map<string, NewestUpdate>();
  #tailFrom = -1;
  #tailTo = -1;

  /** @param isFrame A stored text that isn't one counts as not kept. */
  constructor(connection: ReadingConnection, isFrame: (stored: string) => boolean) {
    this.#connection = connection;
    this.#isFrame = isFrame;
    this.#statements = prepareStatements(connection);
    this.#newestRows = byKind((kind) => connection.prepare(newestRowSql(kind)));
  }

  epoch(): string {
    return this.#connection.read(() => this.#state().epoch);
  }

  positions(tickers: readonly string[] | null): Map<string, number> {
    return this.#inOneMoment(() => {
      const newest = this.#readTail();
      if (tickers === null) {
        const all = new Map(this.#statements.positions.all().map(({ ticker, seq }) => [ticker, seq]));
        for (const [ticker, { position }] of newest) all.set(ticker, position);
        return all;
      }
      const found = new Map<string, number>();
      for (const ticker of tickers) {
        const seq = newest.get(ticker)?.position ?? this.#statements.position.get(ticker)?.seq;
        if (seq !== undefined) found.set(ticker, seq);
      }
      return found;
    });
  }

  newest(ticker: string): NewestUpdate {
    return this.#inOneMoment(() => this.#newest(ticker));
  }

  after(ticker: string, after: number, limit: UpdateLimit): StoredUpdate[] {
    return this.#inOneMoment(() => {
      const found: StoredUpdate[] = [];
      let characters = 0;
      for (const { seq: position, id } of this.#placesAfter(ticker, after, Math.max(1, limit.updates))) {
        // Another program has deleted those between. The next question shows the hole.
        if (found.length > 0 && position !== found.at(-1)!.position + 1) break;
        const { type, saved_at, frame: logged } = this.#statements.update.get(id)!;
        characters += frameLength(logged);
        if (found.length > 0 && characters > limit.characters) break;
        const stored = unpackFrame(logged);
        const frame = this.#isFrame(stored) ? stored : "";
        found.push({ position, type, savedAtMs: saved_at, frame });
      }
      return found;
    });
  }

  keptSinceMs(): number | null {
    return this.#connection.read(() => this.#statements.oldest.get()?.saved_at ?? null);
  }

  /** Ids count the bytes of updates. */
  logBytes(): number {
    return this.#connection.read(() => this.#statements.span.get()?.bytes ?? 0);
  }

  snapshot(ticker: string): TickerSnapshot {
    return this.#inOneMoment(() => ({
      position: this.#newest(ticker).position,
      newest: KIND_NAMES.flatMap((kind) =>
        snapshotParts(kind, () => storedParts(this.#connection.db, kind, ticker)).flatMap((part) => {
          const row = this.#newestRow(kind, ticker, part);
          return row === null ? [] : [{ kind, part, row }];
        }),
      ),
    }));
  }

  #placesAfter(ticker: string, after: number, limit: number): { seq: number; id: number }[] {
    const { indexed_to } = this.#state();
    const places = this.#statements.indexedAfter.all(ticker, after, limit);
    const rest = limit - places.length;
    if (rest <= 0) return places;
    const last = places.at(-1)?.seq ?? after;
    return [...places, ...this.#statements.unindexedAfter.all(indexed_to, ticker, last, rest)];
  }

  #newest(ticker: string): NewestUpdate {
    const unindexed = this.#readTail().get(ticker);
    if (unindexed !== undefined) return unindexed;
    const { seq = 0, saved_at: savedAtMs = 0 } = this.#statements.position.get(ticker) ?? {};
    return { position: seq, savedAtMs };
  }

  /**
   * The newest update of each ticker in the tail. Reads only what was added since the last call.
   */
  #readTail(): ReadonlyMap<string, NewestUpdate> {
    const { indexed_to } = this.#state();
    if (indexed_to !== this.#tailFrom) {
      this.#tail.clear();
      this.#tailFrom = indexed_to;
      this.#tailTo = indexed_to;
    }
    for (const { id, ticker, seq, saved_at } of this.#statements.addedToTail.all(this.#tailTo)) {
      this.#tail.set(ticker, { position: seq, savedAtMs: saved_at });
      this.#tailTo = id;
    }
    return this.#tail;
  }

  /** Null: there is none, or another program wrote it in a form that no save could store. */
  #newestRow(kind: KindName, ticker: string, part: string | null): SeriesRow | null {
    const values = this.#newestRows[kind].values(...(part === null ? [ticker] : [ticker, part]))[0];
    if (values === undefined) return null;
    try {
      const row = storedRow(values, kind, `${ticker} ${partName(kind, part)}`);
      return withoutSeq(kind, row);
    } catch (error) {
      if (error instanceof TransferRowError) return null;
      throw error;
    }
  }

  #state(): { epoch: string; indexed_to: number } {
    const state = this.#statements.state.get();
    if (state === null) throw withoutState();
    return state;
  }

  #inOneMoment<T>(read: () => T): T {
    return this.#connection.read(() => {
      this.#statements.begin.run();
      try {
        return read();
      } finally {
        if (this.#connection.db.inTransaction) this.#statements.commit.run();
      }
    });
  }
}

/**
 * The positions in the transaction that the connection is in.
 * @param tickers null: all. @throws RequestError 503
 */
export function positionsIn(db: Database, tickers: readonly string[] | null): WalkPositions {
  const state = db
    .query<{ epoch: string; indexed_to: number }, []>("SELECT epoch, indexed_to FROM update_log_state")
    .get();
  if (state === null) throw withoutState();
  const tail = new Map<string, number>();
  const added = db.query<{ ticker: string; seq: number }, [number]>(
    "SELECT ticker, seq FROM update_log WHERE id > ? ORDER BY id",
  );
  for (const { ticker, seq } of added.iterate(state.indexed_to)) tail.set(ticker, seq);
  const indexed = "SELECT ticker, seq FROM update_positions";
  if (tickers === null) {
    const all = db.query<{ ticker: string; seq: number }, []>(indexed).all();
    return {
      epoch: state.epoch,
      positions: new Map([...all.map(({ ticker, seq }) => [ticker, seq] as const), ...tail]),
    };
  }
  const one = db.query<{ seq: number }, [string]>(`${indexed} WHERE ticker = ?`);
  const positions = new Map<string, number>();
  for (const ticker of tickers) {
    const seq = tail.get(ticker.toWellFormed()) ?? one.get(ticker)?.seq;
    if (seq !== undefined) positions.set(ticker, seq);
  }
  return { epoch: state.epoch, positions };
}

function withoutState(): Error {
  return unavailable("read updates: the row of update_log_state was deleted; save, or restart");
}

function prepareStatements(connection: ReadingConnection) {
  const prepare = <R>(sql: string): Statement<R, Params> => connection.prepare<R>(sql);
  return {
    begin: prepare("BEGIN"),
    commit: prepare("COMMIT"),
    span: prepare<{ bytes: number }>(
      "SELECT (SELECT max(id) FROM update_log) - (SELECT min(id) FROM update_log) AS bytes",
    ),
    oldest: prepare<{ saved_at: number }>("SELECT saved_at FROM update_log ORDER BY id LIMIT 1"),
    state: prepare<{ epoch: string; indexed_to: number }>("SELECT epoch, indexed_to FROM update_log_state"),
    position: prepare<{ seq: number; saved_at: number }>(
      "SELECT seq, saved_at FROM update_positions WHERE ticker = ?",
    ),
    positions: prepare<{ ticker: string; seq: number }>("SELECT ticker, seq FROM update_positions"),
    addedToTail: prepare<{ id: number; ticker: string; seq: number; saved_at: number }>(
      "SELECT id, ticker, seq, saved_at FROM update_log WHERE id > ? ORDER BY id",
    ),
    // The join leaves out entries whose update another program has deleted.
    indexedAfter: prepare<{ seq: number; id: number }>(
      `SELECT entry.seq AS seq, entry.id AS id FROM update_log_index AS entry CROSS JOIN update_log USING (id)
       WHERE entry.ticker = ? AND entry.seq > ? ORDER BY entry.seq LIMIT ?`,
    ),
    unindexedAfter: prepare<{ seq: number; id: number }>(
      "SELECT seq, id FROM update_log WHERE id > ? AND ticker = ? AND seq > ? ORDER BY id LIMIT ?",
    ),
    update: prepare<{ type: string; saved_at: number; frame: string }>(
      "SELECT type, saved_at, frame FROM update_log WHERE id = ?",
    ),
  };
}

function newestRowSql(kind: RowKind): string {
  const order = [kind.stamp.name, ...(kind.hasSeq ? ["seq"] : [])].map((column) => `${column} DESC`);
  return `SELECT ${rowColumns(kind).join(", ")} FROM ${kind.table}
    WHERE ${seriesColumns(kind)
      .map((column) => `${column} = ?`)
      .join(" AND ")} ORDER BY ${order.join(", ")} LIMIT 1`;
}
