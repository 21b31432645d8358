/**
 * The update log in the hub's process, which alone writes it: the position of each ticker, the
 * newest updates, and what a commit adds.
 *
 * Rows are appended in the order of commits, without an index: an entry for each save would cost
 * more than the save. DuckDB skips what lies outside of an `id` or a `seq` by the smallest and
 * largest values that it keeps of every 122,880 rows. `id` counts the characters logged so far, so
 * that trimming to a size is a range. A ticker's position is the largest in the log, or the one
 * noted in `update_positions` when rows were trimmed.
 */
import { randomUUID } from "node:crypto";
import type { Save, SaveOutcome } from "../contract.ts";
import { type EpochWitness, type Given, reasonsOf } from "../epoch-witness.ts";
import { updateTypeOf } from "../model/kinds.ts";
import { RecentlyUsed } from "../recently-used.ts";
import type { StoredUpdate } from "../update-contract.ts";
import { storable } from "./lines.ts";
import { RecentUpdates } from "./recent-updates.ts";
import type { Session } from "./session.ts";
import { checkpointsOfOpen } from "./write-ahead-log.ts";

/**
 * Tickers whose positions are in memory, about 30 MB; those of others are read when they are
 * needed.
 */
const TICKERS_MAX = 200_000;
/** What a row takes besides its frame, roughly. */
const ROW_CHARACTERS = 100;
/** Of the log's bound, what one trimming takes away, at least. */
const TRIM_SHARE = 1 / 32;
/** What one takes away when nobody saves. */
const IDLE_TRIM_CHARACTERS = 4 * 1024 * 1024;

const INSERT = `INSERT INTO update_log BY NAME SELECT unnest(from_json($1::VARCHAR, '[{"id": "BIGINT", "ticker": "VARCHAR", "seq": "BIGINT",
  "type": "VARCHAR", "saved_at": "BIGINT", "save_id": "VARCHAR", "size": "BIGINT", "frame": "VARCHAR"}]'), max_depth := 2)`;
/** Of each ticker its newest position, and the `id` of it, 0 if it is no longer in the log. */
const PLACES = `(SELECT ticker, max(seq) AS seq, max(id) AS id, max(saved_at) AS saved_at FROM (
  SELECT ticker, seq, id, saved_at FROM update_log UNION ALL SELECT ticker, seq, 0, saved_at FROM update_positions) GROUP BY ticker)`;
const NAMED = `ticker IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`;

/** The newest update of a ticker. */
export interface Place {
  seq: number;
  /** At least that of its row; 0 if it may have none. */
  id: number;
  savedAtMs: number;
}

/** Of a ticker that has no update. */
export const NOWHERE: Place = { seq: 0, id: 0, savedAtMs: 0 };

/** What a transaction adds to the log. */
export interface NewUpdates {
  outcomes: SaveOutcome[];
  rows: { id: number; ticker: string; saveId: string | null; update: StoredUpdate }[];
}

export class UpdateLog {
  readonly recent = new RecentUpdates();
  epoch = "";
  readonly #limitCharacters: number;
  readonly #path: string;
  readonly #witness: EpochWitness;
  readonly #places = new RecentlyUsed<Place>(TICKERS_MAX);
  /** Whether a ticker that is not among the places has no update. */
  #complete = false;
  #lastId = 0;
  /** Where the oldest update begins. */
  #trimmedTo = 0;
  #lastCommitCharacters = 0;
  /** The sum of the positions of all tickers. */
  #positionsGiven = 0;
  #lastSavedAtMs = 0;
  /** Commits of others that it knows of. */
  #asOf = -1;

  /** @param limitBytes undefined: it is never trimmed. */
  constructor(limitBytes: number | undefined, { path, witness }: { path: string; witness: EpochWitness }) {
    this.#path = path;
    this.#witness = witness;
    this.#limitCharacters = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Where positions are, after the last commit: all of them together, as users may delete from the
   * log itself.
   */
  get given(): Given {
    return { epoch: this.epoch, newestId: this.#positionsGiven };
  }

  /**
   * To be called before anything is saved.
   *
   * @param reason why a new one begins in any case.
   * @returns why a new epoch began; null: the one before goes on.
   */
  async settleEpoch(session: Session, reason: string | null): Promise<string | null> {
    const reasons = reasonsOf(this.#witness.doubt(this.given), reason);
    if (reasons === null) this.#witness.accept(this.given, checkpointsOfOpen(this.#path));
    else await this.beginEpoch(session);
    return reasons;
  }

  /**
   * Positions go on, but mean nothing to whoever knows the epoch before. Outside of a transaction.
   */
  async beginEpoch(session: Session): Promise<string> {
    this.epoch = randomUUID();
    await session.run("UPDATE update_epoch SET epoch = $1", [this.epoch]);
    this.#witness.accept(this.given, checkpointsOfOpen(this.#path));
    return this.epoch;
  }

  /**
   * Reads the log's columns but the frames, about 20 ms for a million updates, if users have
   * written since the last call.
   */
  async refresh(session: Session, foreignCommits: number): Promise<void> {
    if (this.#asOf === foreignCommits) return;
    this.epoch = await readEpoch(session);
    const rows = await session.rows(
      `SELECT ticker, seq, id, saved_at FROM ${PLACES} ORDER BY id DESC LIMIT ${TICKERS_MAX + 1}`,
    );
    this.#complete = rows.length <= TICKERS_MAX;
    // Positions never go back while this process lives, even if a user deleted them.
    for (const [ticker, place] of [...placesOf(rows.slice(0, TICKERS_MAX))].reverse())
      this.#note(ticker, place);
    const [span] = await session.rows(
      `SELECT max(id), greatest(max(saved_at), (SELECT max(saved_at) FROM update_positions)) FROM update_log`,
    );
    const [last, savedAt] = span!;
    this.#lastId = Math.max(this.#lastId, Number(last ?? 0));
    this.#trimmedTo = await this.#beginOfOldest(session);
    const [sum] = await session.rows(`SELECT sum(seq) FROM ${PLACES}`);
    this.#positionsGiven = Math.max(this.#positionsGiven, Number(sum?.[0] ?? 0));
    this.#lastSavedAtMs = Math.max(this.#lastSavedAtMs, Number(savedAt ?? 0));
    this.recent.clear();
    this.#asOf = foreignCommits;
  }

  /**
   * Null: it has to be read. Asked for before a query begins, it is no newer than what the query
   * sees.
   */
  place(ticker: string): Place | null {
    return this.#places.get(ticker) ?? (this.#complete ? NOWHERE : null);
  }

  /** Of every ticker that has one; null: they have to be read. */
  allPositions(): Map<string, number> | null {
    if (!this.#complete) return null;
    return new Map([...this.#places.entries()].map(([ticker, { seq }]) => [ticker, seq]));
  }

  /** To be called before `plan`, with its saves. */
  async learn(session: Session, saves: Save[]): Promise<void> {
    const unknown = new Set<string>();
    for (const save of saves) {
      const ticker = storable(save.ticker);
      const place = this.#places.get(ticker);
      if (place !== undefined) this.#note(ticker, place);
      else if (!this.#complete) unknown.add(ticker);
    }
    if (unknown.size === 0) return;
    const found = await readPlaces(session, [...unknown]);
    for (const ticker of unknown) this.#note(ticker, found.get(ticker) ?? NOWHERE);
  }

  /**
   * Gives every save that changed something its position.
   *
   * @param outcomes of the saves, without positions.
   */
  plan(saves: Save[], outcomes: SaveOutcome[]): NewUpdates {
    const savedAtMs = Math.max(Date.now(), this.#lastSavedAtMs);
    const positions = new Map<string, number>();
    const planned: NewUpdates = { outcomes: [], rows: [] };
    let id = this.#lastId;
    for (const [index, outcome] of outcomes.entries()) {
      if (!outcome.ok || outcome.stored === 0) {
        planned.outcomes.push(outcome);
        continue;
      }
      const save = saves[index]!;
      const ticker = storable(save.ticker);
      const position = (positions.get(ticker) ?? this.#places.get(ticker)?.seq ?? 0) + 1;
      positions.set(ticker, position);
      const frame = storable(save.update?.frame ?? "");
      const type = storable(updateTypeOf(save));
      id += frame.length + ROW_CHARACTERS;
      planned.rows.push({
        id,
        ticker,
        saveId: save.update?.saveId ?? null,
        update: { position: position, type, frame, savedAtMs },
      });
      planned.outcomes.push({ ...outcome, position: position });
    }
    return planned;
  }

  async write(session: Session, { rows }: NewUpdates): Promise<void> {
    const json = rows.map(({ id, ticker, saveId, update: { position, type, savedAtMs, frame } }) => ({
      id,
      ticker,
      seq: position,
      type,
      saved_at: savedAtMs,
      save_id: saveId,
      size: frame.length,
      frame,
    }));
    await session.insert(INSERT, [JSON.stringify(json)]);
    this.#witness.giving(this.given, this.#positionsGiven + rows.length);
  }

  /** The transaction is committed. */
  committed({ rows }: NewUpdates): void {
    this.#positionsGiven += rows.length;
    if (rows.length > 0) this.#lastCommitCharacters = rows.at(-1)!.id - this.#lastId;
    for (const { id, ticker, update } of rows) {
      this.#note(ticker, { seq: update.position, id, savedAtMs: update.savedAtMs });
      this.recent.add(ticker, update);
      this.#lastId = id;
      this.#lastSavedAtMs = update.savedAtMs;
    }
  }

  /** The transaction that removed all of the ticker is committed. */
  forget(ticker: string): void {
    this.#places.delete(storable(ticker));
    this.recent.clear();
  }

  /**
   * The saves among these that are repeated and were committed before, by their index, with the
   * positions of their updates.
   */
  async findRepeated(session: Session, saves: Save[]): Promise<Map<number, number>> {
    const asked = saves.flatMap(({ ticker, update }, index) =>
      update?.repeated === true ? [{ index, ticker: storable(ticker), save_id: update.saveId }] : [],
    );
    if (asked.length === 0) return new Map();
    const rows = await session.rows(
      `SELECT w.index, max(u.seq) FROM update_log u JOIN (
         SELECT unnest(from_json($1, '[{"index": "INTEGER", "ticker": "VARCHAR", "save_id": "VARCHAR"}]'), max_depth := 2)) w
       ON u.ticker = w.ticker AND u.save_id = w.save_id GROUP BY w.index`,
      [JSON.stringify(asked)],
    );
    return new Map(rows.map(([index, seq]) => [Number(index), Number(seq)]));
  }

  get isTooLong(): boolean {
    return this.#lastId - this.#trimmedTo > this.#limitCharacters * (1 + TRIM_SHARE);
  }

  /**
   * Takes a share of it away, the oldest: little enough that saves don't wait long, and more than a
   * commit adds. In a transaction of its caller's; resolves with what to do once that is committed,
   * which tells whether the log is shorter: it isn't where the newest update alone is too long.
   *
   * @param idle nobody waits.
   */
  async trim(session: Session, { idle = false } = {}): Promise<() => boolean> {
    const least = Math.max(this.#limitCharacters * TRIM_SHARE, idle ? IDLE_TRIM_CHARACTERS : 0);
    const share = Math.ceil(Math.max(least, this.#lastCommitCharacters * 2));
    const excess = this.#lastId - this.#trimmedTo - this.#limitCharacters;
    const end = await this.#endOfUpdateAt(session, this.#trimmedTo + Math.min(share, excess));
    const trimmed = `(SELECT ticker, max(seq) AS seq, max(saved_at) AS saved_at FROM update_log WHERE id <= ${end} GROUP BY ticker)`;
    // The numbers differ each time, so there is nothing to prepare.
    const { connection } = session;
    await connection.run(
      `DELETE FROM update_positions p USING ${trimmed} t WHERE p.ticker = t.ticker AND p.seq <= t.seq`,
    );
    await connection.run(`INSERT INTO update_positions BY NAME SELECT * FROM ${trimmed}`);
    await connection.run(`DELETE FROM update_log WHERE id <= ${end}`);
    const begin = await this.#beginOfOldest(session);
    return () => {
      const isShorter = begin > this.#trimmedTo;
      this.#trimmedTo = begin;
      return isShorter;
    };
  }

  /**
   * The update that lies across the place goes too, or one that is longer than the bound would stay
   * for long; the newest never goes.
   */
  async #endOfUpdateAt(session: Session, id: number): Promise<number> {
    const [row] = await session.rows(
      `SELECT min(id) FROM update_log WHERE id >= ${id} AND id < ${this.#lastId}`,
    );
    return row?.[0] == null ? id : Number(row[0]);
  }

  async #beginOfOldest(session: Session): Promise<number> {
    const [row] = await session.rows(
      `SELECT id - size - ${ROW_CHARACTERS} FROM update_log WHERE id = (SELECT min(id) FROM update_log)`,
    );
    return row === undefined ? this.#lastId : Number(row[0]);
  }

  #note(ticker: string, place: Place): void {
    const known = this.#places.get(ticker);
    const dropped = this.#places.set(ticker, known !== undefined && known.seq > place.seq ? known : place);
    if (dropped) this.#complete = false;
  }
}

export async function readPlaces(session: Session, tickers: string[]): Promise<Map<string, Place>> {
  const rows = await session.rows(`SELECT ticker, seq, id, saved_at FROM ${PLACES} WHERE ${NAMED}`, [
    JSON.stringify(tickers),
  ]);
  return placesOf(rows);
}

export async function readAllPlaces(session: Session): Promise<Map<string, Place>> {
  return placesOf(await session.rows(`SELECT ticker, seq, id, saved_at FROM ${PLACES}`));
}

function placesOf(rows: unknown[][]): Map<string, Place> {
  return new Map(
    rows.map(([ticker, seq, id, savedAt]) => [
      String(ticker),
      { seq: Number(seq), id: Number(id), savedAtMs: Number(savedAt) },
    ]),
  );
}

/** A new one where another program has deleted it. */
async function readEpoch(session: Session): Promise<string> {
  const [row] = await session.rows("SELECT epoch FROM update_epoch LIMIT 1");
  if (row !== undefined) return String(row[0]);
  const epoch = randomUUID();
  await session.run("INSERT INTO update_epoch VALUES ($1)", [epoch]);
  return epoch;
}
