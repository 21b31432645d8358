/**
 * The update log, written by the hub alone: the position of each ticker, the newest updates, and
 * what a commit adds. DESIGN.md says why its tables look as they do. A ticker's position is the
 * largest in the log, or the one that trimming noted in `update_positions`.
 */
import { randomUUID } from "node:crypto";
import { hasChanged, type SaveOutcome } from "../contract.ts";
import { type EpochWitness, type Given, reasonsOf } from "../epoch-witness.ts";
import { updateTypeOf } from "../model/kinds.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { countsText, mayBeLogged, repeatedOutcome } from "../save-counts.ts";
import type { LogEntry, StoredUpdate } from "../update-contract.ts";
import { storable } from "./lines.ts";
import { RecentUpdates } from "./recent-updates.ts";
import type { Session } from "./session.ts";
import { checkpointsOfOpen } from "./write-ahead-log.ts";

/** Bounds the positions in memory to about 30 MB; other positions are read when needed. */
const TICKERS_MAX = 200_000;
/** Bounds the prints of requests in memory to about 40 MB. With more, each request is looked up. */
const REQUESTS_MAX = 1_000_000;
/** Roughly what a row takes besides its frame. */
const ROW_CHARACTERS = 120;
/** The least that one trimming takes away, as a share of the log's limit. */
const TRIM_SHARE = 1 / 32;
/** The least that one trimming takes away when no save waits. */
const IDLE_TRIM_CHARACTERS = 4 * 1024 * 1024;

const FIELDS = [
  '"id": "BIGINT", "ticker": "VARCHAR", "seq": "BIGINT", "type": "VARCHAR", "saved_at": "BIGINT"',
  '"save_id": "VARCHAR", "size": "BIGINT", "frame": "VARCHAR", "request_key": "VARCHAR"',
  '"counts": "VARCHAR"',
];
const LOGGED = `unnest(from_json($1::VARCHAR, '[{${FIELDS.join(", ")}}]'), max_depth := 2)`;
const INSERT = `INSERT INTO update_log BY NAME SELECT ${LOGGED}`;
/** Of one update: its frame, which may be long, isn't written into JSON and read from it. */
const INSERT_ONE = `INSERT INTO update_log BY NAME
  SELECT * REPLACE ($2::VARCHAR AS frame) FROM (SELECT ${LOGGED})`;
/** The newest position of each ticker and its `id`, which is 0 after trimming. */
const PLACES = `(SELECT ticker, max(seq) AS seq, max(id) AS id, max(saved_at) AS saved_at FROM (
  SELECT ticker, seq, id, saved_at FROM update_log UNION ALL SELECT ticker, seq, 0, saved_at FROM update_positions) GROUP BY ticker)`;
const NAMED = `ticker IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`;

export interface Place {
  seq: number;
  /** At least the `id` of its row; 0 if there may be no row. */
  id: number;
  savedAtMs: number;
}

/** The place of a ticker without updates. */
export const NOWHERE: Place = { seq: 0, id: 0, savedAtMs: 0 };

export interface NewUpdates {
  outcomes: SaveOutcome[];
  rows: { id: number; ticker: string; save: LogEntry; counts: string; update: StoredUpdate }[];
}

export class UpdateLog {
  readonly recent = new RecentUpdates();
  epoch = "";
  readonly #limitCharacters: number;
  readonly #path: string;
  readonly #witness: EpochWitness;
  readonly #places = new RecentlyUsed<Place>(TICKERS_MAX);
  /** Every ticker that has updates is in `#places`. */
  #complete = false;
  #lastId = 0;
  /** The `id` before the oldest update. */
  #trimmedTo = 0;
  #lastCommitCharacters = 0;
  #positionsGiven = 0;
  #lastSavedAtMs = 0;
  /** Prints of the requests that the log may hold; null: they are too many. */
  #requests: Set<number> | null = new Set();
  /** The number of users' commits at the last refresh. */
  #asOf = -1;

  /** @param limitBytes undefined: the log is never trimmed. */
  constructor(limitBytes: number | undefined, { path, witness }: { path: string; witness: EpochWitness }) {
    this.#path = path;
    this.#witness = witness;
    this.#limitCharacters = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Of all updates that it holds, roughly. */
  get characters(): number {
    return this.#lastId - this.#trimmedTo;
  }

  /** The sum of all positions, since users may delete rows of the log. */
  get given(): Given {
    return { epoch: this.epoch, newestId: this.#positionsGiven };
  }

  /**
   * Must run before the first save.
   *
   * @param reason why a new epoch must begin; null: nothing demands one.
   * @returns why a new epoch began; null: the old one goes on.
   */
  async settleEpoch(session: Session, reason: string | null): Promise<string | null> {
    const reasons = reasonsOf(this.#witness.doubt(this.given), reason);
    if (reasons === null) this.#witness.accept(this.given, checkpointsOfOpen(this.#path));
    else await this.beginEpoch(session);
    return reasons;
  }

  /** Positions go on, but clients of the old epoch must start afresh. Not within a transaction. */
  async beginEpoch(session: Session): Promise<string> {
    this.epoch = randomUUID();
    await session.run("UPDATE update_epoch SET epoch = $1", [this.epoch]);
    this.#witness.accept(this.given, checkpointsOfOpen(this.#path));
    return this.epoch;
  }

  /** Reads the log's small columns if users have committed: 20 ms for a million updates. */
  async refresh(session: Session, foreignCommits: number): Promise<void> {
    if (this.#asOf === foreignCommits) return;
    this.epoch = await readEpoch(session);
    const rows = await session.rows(
      `SELECT ticker, seq, id, saved_at FROM ${PLACES} ORDER BY id DESC LIMIT ${TICKERS_MAX + 1}`,
    );
    this.#complete = rows.length <= TICKERS_MAX;
    // Positions never go back while this process lives, even if a user deletes them.
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
    const keys = await session.rows("SELECT request_key FROM update_log WHERE request_key IS NOT NULL");
    this.#requests = new Set();
    for (const [key] of keys) this.#noteRequest(String(key));
    this.recent.clear();
    this.#asOf = foreignCommits;
  }

  /** Null: the caller must read it. Asked for before a query, it is no newer than its snapshot. */
  place(ticker: string): Place | null {
    return this.#places.get(ticker) ?? (this.#complete ? NOWHERE : null);
  }

  /** Null: the caller must read them. */
  allPositions(): Map<string, number> | null {
    if (!this.#complete) return null;
    return new Map([...this.#places.entries()].map(([ticker, { seq }]) => [ticker, seq]));
  }

  /** Must run before `plan`, with the same saves. */
  async learn(session: Session, saves: readonly LogEntry[]): Promise<void> {
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

  /** Gives every save that changed something its position. */
  plan(saves: readonly LogEntry[], outcomes: readonly SaveOutcome[]): NewUpdates {
    const savedAtMs = Math.max(Date.now(), this.#lastSavedAtMs);
    const positions = new Map<string, number>();
    const planned: NewUpdates = { outcomes: [], rows: [] };
    let id = this.#lastId;
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.ok) outcome.epoch = this.epoch;
      if (!hasChanged(outcome)) {
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
        save,
        counts: countsText(outcome, save.update?.request),
        update: { position, type, frame, savedAtMs },
      });
      planned.outcomes.push({ ...outcome, position });
    }
    return planned;
  }

  async write(session: Session, { rows }: NewUpdates): Promise<void> {
    const json = rows.map(({ id, ticker, save, counts, update: { position, type, savedAtMs, frame } }) => ({
      id,
      ticker,
      seq: position,
      type,
      saved_at: savedAtMs,
      save_id: save.update?.saveId ?? null,
      size: frame.length,
      frame,
      request_key: save.update?.request?.key ?? null,
      counts,
    }));
    const [one] = json;
    if (json.length === 1)
      await session.insert(INSERT_ONE, [JSON.stringify([{ ...one, frame: "" }]), one!.frame]);
    else await session.insert(INSERT, [JSON.stringify(json)]);
    this.#witness.giving(this.given, this.#positionsGiven + rows.length);
  }

  /** Takes over what a committed transaction has written. */
  committed({ rows }: NewUpdates): void {
    this.#positionsGiven += rows.length;
    if (rows.length > 0) this.#lastCommitCharacters = rows.at(-1)!.id - this.#lastId;
    for (const { id, ticker, save, update } of rows) {
      this.#noteRequest(save.update?.request?.key);
      this.#note(ticker, { seq: update.position, id, savedAtMs: update.savedAtMs });
      this.recent.add(ticker, update);
      this.#lastId = id;
      this.#lastSavedAtMs = update.savedAtMs;
    }
  }

  /** Forgets a ticker whose removal is committed. */
  forget(ticker: string): void {
    this.#places.delete(storable(ticker));
    this.recent.clear();
  }

  /**
   * Finds saves that an earlier commit holds.
   *
   * @returns their outcomes, by the index of the save.
   */
  async findRepeated(session: Session, saves: readonly LogEntry[]): Promise<Map<number, SaveOutcome>> {
    const asked = saves.flatMap((save, index) => (this.#mayHold(save) ? [{ index, ...idsOf(save) }] : []));
    if (asked.length === 0) return new Map();
    const rows = await session.rows(
      // Another ticker may have the update of a request, such as the new one of a renamed ticker.
      `WITH w AS (SELECT unnest(from_json($1, '[{"index": "INTEGER", "ticker": "VARCHAR", "save_id": "VARCHAR", "request_key": "VARCHAR"}]'), max_depth := 2))
       SELECT index, max(seq), arg_max(counts, seq) FROM (
         SELECT w.index, u.seq, u.counts FROM update_log u
         JOIN w ON u.ticker = w.ticker AND u.save_id = w.save_id
         UNION ALL
         SELECT w.index, u.seq, u.counts FROM update_log u JOIN w ON u.request_key = w.request_key
       ) GROUP BY index`,
      [JSON.stringify(asked)],
    );
    return new Map(
      rows.map(([index, seq, counts]) => {
        const logged = { position: Number(seq), counts: counts === null ? null : String(counts) };
        return [Number(index), repeatedOutcome(saves[Number(index)]!, logged, this.epoch)];
      }),
    );
  }

  /** A look-up reads a column of the whole log, and most requests are new. False is certain. */
  #mayHold(save: LogEntry): boolean {
    const request = save.update?.request;
    if (save.update?.repeated) return true;
    return mayBeLogged(save) && request !== undefined && this.#mayHoldRequest(request.key);
  }

  #mayHoldRequest(key: string): boolean {
    return this.#requests === null || this.#requests.has(printOf(key));
  }

  #noteRequest(key: string | undefined): void {
    if (key === undefined || this.#requests === null) return;
    this.#requests.add(printOf(key));
    if (this.#requests.size > REQUESTS_MAX) this.#requests = null;
  }

  get isTooLong(): boolean {
    return this.#lastId - this.#trimmedTo > this.#limitCharacters * (1 + TRIM_SHARE);
  }

  /**
   * Deletes the oldest part of the log in the caller's transaction: little enough that saves don't
   * wait long, and more than a commit adds.
   *
   * @param idle no save waits.
   * @returns a function to call after the commit. It tells whether the log is shorter: not if the
   *   newest update alone is too long.
   */
  async trim(session: Session, { idle = false } = {}): Promise<() => boolean> {
    const least = Math.max(this.#limitCharacters * TRIM_SHARE, idle ? IDLE_TRIM_CHARACTERS : 0);
    const share = Math.ceil(Math.max(least, this.#lastCommitCharacters * 2));
    const excess = this.#lastId - this.#trimmedTo - this.#limitCharacters;
    const end = await this.#endOfUpdateAt(session, this.#trimmedTo + Math.min(share, excess));
    const trimmed = `(SELECT ticker, max(seq) AS seq, max(saved_at) AS saved_at FROM update_log WHERE id <= ${end} GROUP BY ticker)`;
    // The numbers differ each time, so preparing would not pay.
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
   * Includes the update that spans `id`, since one longer than the limit would stay for long. Never
   * includes the newest update.
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

function idsOf({ ticker, update }: LogEntry) {
  const { saveId, repeated, request } = update!;
  return {
    ticker: storable(ticker),
    save_id: repeated ? saveId : null,
    request_key: request?.key ?? null,
  };
}

/** A number of 52 bits. Two keys of one print only cost a look-up. */
function printOf(key: string): number {
  return Number(BigInt.asUintN(52, BigInt(Bun.hash(key))));
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

/** Makes a new epoch if another program has deleted the stored one. */
async function readEpoch(session: Session): Promise<string> {
  const [row] = await session.rows("SELECT epoch FROM update_epoch LIMIT 1");
  if (row !== undefined) return String(row[0]);
  const epoch = randomUUID();
  await session.run("INSERT INTO update_epoch VALUES ($1)", [epoch]);
  return epoch;
}
