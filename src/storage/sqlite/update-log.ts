/**
 * The writer's side of the update log. It gives each update its position and appends it in the
 * transaction of its rows. See DESIGN.md "The update log".
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { hasChanged, type SaveOutcome } from "../contract.ts";
import type { EpochWitness, Given } from "../epoch-witness.ts";
import { updateTypeOf } from "../model/kinds.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { countsText, type LoggedSave, repeatedOutcome } from "../save-counts.ts";
import type { LogEntry } from "../update-contract.ts";

/** Readers may have to walk over so many updates that are in no index, or over so many bytes. */
const INDEX_UPDATES = 2_000;
const INDEX_BYTES_MAX = 16 * 1024 * 1024;
/** In a small log, since only indexed updates can be trimmed. */
const INDEX_PART_OF_BOUND = 1 / 4;
/** Bounds of one step of trimming, some 10 ms. It takes out at least one update. */
const TRIM_UPDATES = 2_000;
const TRIM_BYTES = 4 * 1024 * 1024;
/**
 * A log is trimmed when it is so much too long: then pages are written for many updates at once.
 */
const TRIM_PART_OF_BOUND = 1 / 32;
/**
 * A commit trims twice the bytes logged since the last trimming. So the saves that make the log
 * grow pay.
 */
const TRIM_RATIO = 2;
/** Size of a row without its texts: key, numbers, save id. */
const ROW_BYTES = 80;
/** Size of an entry in the index without the ticker. */
const INDEX_ROW_BYTES = 20;
/** A row begins a new page where the last has no room for it. A long row fills pages of its own. */
const PAGE_BYTES = 4096;
/** No server logs or counts that far: another program wrote a larger id or position. */
const NUMBER_MAX = 2 ** 52;
/** Looking through a million tickers for larger positions takes 50 ms. */
const POSITIONS_LOOK_MS = 5_000;
/** Tickers whose newest position is kept in memory; about 10 MB. */
const POSITIONS_KEPT_MAX = 100_000;
/** A repeated save is looked for among so many updates of its ticker. */
const REPEATS_SOUGHT_MAX = 10_000;

type Params = SQLQueryBindings[];

export interface UpdateLogOptions {
  /** Null: the log isn't trimmed. */
  boundBytes: number | null;
  witness: EpochWitness;
  /** Takes a sentence for the log about what was mended. */
  note(text: string): void;
}

/** The log after the current transaction, if it commits. */
interface LogEnd {
  newestId: number;
  indexedTo: number;
  savedAtMs: number;
  /** Updates after `indexedTo`. */
  unindexed: number;
  /** The oldest update begins here: the log is as long as from here to `newestId`. */
  trimmedTo: number;
  /** `newestId` at the last trimming. */
  trimmedAt: number;
}

interface Newest {
  seq: number;
  savedAtMs: number;
}

export class UpdateLog {
  readonly #boundBytes: number | null;
  readonly #witness: EpochWitness;
  #epoch = "";
  readonly #indexBytes: number;
  /** The log may be so much too long. */
  readonly #slackBytes: number;
  #end: LogEnd = { newestId: 0, indexedTo: 0, savedAtMs: 0, unindexed: 0, trimmedTo: 0, trimmedAt: 0 };
  readonly #positions = new RecentlyUsed<number>(POSITIONS_KEPT_MAX);
  /** Newest update of each ticker that has some in no index. */
  readonly #unindexed = new Map<string, Newest>();
  #dataVersion = -1;
  readonly #note: (text: string) => void;
  #positionsLookedAtMs = Number.NEGATIVE_INFINITY;
  #looksAtPositions = true;
  /** The saves that were looked up in this transaction, by ticker and id. */
  readonly #saveIds = new Map<string, Map<string, LoggedSave>>();
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(db: Database, { boundBytes, witness, note }: UpdateLogOptions) {
    this.#note = note;
    this.#boundBytes = boundBytes;
    this.#witness = witness;
    this.#slackBytes = Math.min(TRIM_BYTES, (boundBytes ?? 0) * TRIM_PART_OF_BOUND);
    this.#indexBytes = Math.min(INDEX_BYTES_MAX, (boundBytes ?? Infinity) * INDEX_PART_OF_BOUND);
    this.#statements = prepareStatements(db);
    this.begin();
  }

  /** After the last transaction. */
  get given(): Given {
    return { epoch: this.#epoch, newestId: this.#end.newestId };
  }

  /** Begins an epoch, in which positions go on. Must not be called in a transaction. */
  beginEpoch(): void {
    this.#epoch = crypto.randomUUID();
    this.#statements.setEpoch.run(this.#epoch);
  }

  /** Begins each transaction. @returns Whether another program may have changed rows. */
  begin(): boolean {
    this.#saveIds.clear();
    const version = this.#statements.dataVersion.get()?.data_version ?? 0;
    const isSame = version === this.#dataVersion;
    this.#looksAtPositions ||= !isSame;
    const looksNow =
      this.#looksAtPositions && performance.now() - this.#positionsLookedAtMs >= POSITIONS_LOOK_MS;
    if (looksNow) this.#mendPositions();
    if (isSame && !looksNow) return false;
    this.#load();
    this.#dataVersion = version;
    return true;
  }

  /** Positions that another program wrote can't be counted on: their epoch ends. */
  #mendPositions(): void {
    this.#looksAtPositions = false;
    this.#positionsLookedAtMs = performance.now();
    const damaged = this.#statements.damagedPositions.all(NUMBER_MAX);
    if (damaged.length === 0) return;
    this.#statements.mendPositions.run(NUMBER_MAX);
    this.#statements.endEpoch.run();
    const named = damaged.map(({ ticker }) => ticker).join(", ");
    this.#note(
      `another program has put positions into update_positions that no server has given (${named}); a new epoch begins, clients get a snapshot`,
    );
  }

  /** Removes rows that this server, the log's only writer, has not written. */
  #removeForeignUpdates(): void {
    const last = this.#dataVersion === -1 ? NUMBER_MAX : this.#end.newestId;
    const { changes } = this.#statements.removeAfter.run(last);
    const { changes: ofTail } = this.#statements.removeOdd.run(NUMBER_MAX);
    const removed = changes + ofTail;
    if (removed > 0)
      this.#note(
        `another program has put ${removed} rows into update_log; they were no updates, and have been removed`,
      );
  }

  /** Null: there is no state, or none that can be counted on. */
  #state(): { epoch: string; indexed_to: number } | null {
    const state = this.#statements.state.get();
    if (state === null) return null;
    const { indexed_to: to } = state;
    if (Number.isSafeInteger(to) && to >= 0 && to <= NUMBER_MAX) return state;
    this.#statements.endEpoch.run();
    this.#note("another program has changed update_log_state; a new epoch begins, clients get a snapshot");
    return null;
  }

  /** The outcome of a save that was committed before; null: it was not. */
  findRepeated(save: LogEntry): SaveOutcome | null {
    const { update } = save;
    if (update === undefined) return null;
    const request = update.request && this.#statements.ofRequest.get(update.request.key);
    const found = request ?? (update.repeated ? this.#ofSaveId(save.ticker, update.saveId) : null);
    return found === null ? null : repeatedOutcome(save, found, this.#epoch);
  }

  #ofSaveId(ticker: string, saveId: string): LoggedSave | null {
    let known = this.#saveIds.get(ticker);
    if (known === undefined) {
      const { indexedTo } = this.#end;
      const rows = [
        ...this.#statements.indexedSaveIds.all(ticker, REPEATS_SOUGHT_MAX),
        ...this.#statements.otherSaveIds.all(indexedTo, ticker),
      ];
      known = new Map(rows.map(({ save_id, ...logged }) => [save_id, logged]));
      this.#saveIds.set(ticker, known);
    }
    return known.get(saveId) ?? null;
  }

  /**
   * Logs each save, or edit, that changed something, and sets its position.
   *
   * @returns Call it after the commit: until then nothing counts as logged.
   */
  record(saves: readonly LogEntry[], outcomes: readonly (SaveOutcome | null)[]): () => void {
    const end = { ...this.#end, savedAtMs: Math.max(Date.now(), this.#end.savedAtMs) };
    const positions = new Map<string, number>();
    for (const [index, save] of saves.entries()) {
      const outcome = outcomes[index];
      if (outcome?.ok && outcome.isRepetition === undefined) outcome.epoch = this.#epoch;
      if (outcome == null || !hasChanged(outcome)) continue;
      const { ticker, update } = save;
      const type = updateTypeOf(save);
      const frame = update?.frame ?? "";
      const seq = (positions.get(ticker) ?? this.#newest(ticker)) + 1;
      end.newestId += bytesInFile({ ticker: bytesOf(ticker), type: bytesOf(type), frame: bytesOf(frame) });
      end.unindexed++;
      this.#statements.append.run(
        end.newestId,
        ticker,
        seq,
        type,
        end.savedAtMs,
        update?.saveId ?? null,
        update?.request?.key ?? null,
        countsText(outcome, update?.request),
        frame,
      );
      positions.set(ticker, seq);
      outcome.position = seq;
    }
    if (positions.size === 0) return () => {};
    const isLate = end.unindexed >= INDEX_UPDATES || end.newestId - end.indexedTo >= this.#indexBytes;
    if (isLate) this.#index(end, positions);
    this.#trim(end);
    this.#witness.giving(this.given, end.newestId);
    return () => {
      this.#end = end;
      if (isLate) this.#unindexed.clear();
      for (const [ticker, seq] of positions) {
        if (!isLate) this.#unindexed.set(ticker, { seq, savedAtMs: end.savedAtMs });
        this.#positions.set(ticker, seq);
      }
    };
  }

  /**
   * Call it before the ticker's rows are removed, in the same transaction. It indexes everything,
   * since readers remember updates that are in no index. @returns Call it after the commit.
   */
  forget(ticker: string): () => void {
    const end = { ...this.#end };
    this.#index(end, new Map());
    this.#statements.removeIndexed.run(ticker);
    return () => {
      this.#end = end;
      this.#unindexed.clear();
      this.#positions.delete(ticker);
    };
  }

  /** Sorted by ticker, so that each page is written once. Changes `end`. */
  #index(end: LogEnd, positions: ReadonlyMap<string, number>): void {
    this.#statements.index.run(end.indexedTo);
    const newest = new Map(this.#unindexed);
    for (const [ticker, seq] of positions) newest.set(ticker, { seq, savedAtMs: end.savedAtMs });
    const sorted = [...newest].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [ticker, { seq, savedAtMs }] of sorted)
      this.#statements.setPosition.run(ticker, seq, savedAtMs);
    this.#statements.setIndexedTo.run(end.newestId);
    end.indexedTo = end.newestId;
    end.unindexed = 0;
  }

  get isTooLong(): boolean {
    return this.#surplusOf(this.#end) > this.#slackBytes;
  }

  /**
   * Trims one step, in the caller's transaction. @returns Call `committed` after the commit.
   * `isMore` is false too where the newest update alone is too long.
   */
  trimOneStep(): { committed: () => void; isMore: boolean } {
    const end = { ...this.#end };
    const isShorter = this.#surplusOf(end) > 0 && this.#trimStep(end);
    return {
      committed: () => {
        this.#end = end;
      },
      isMore: isShorter && this.#surplusOf(end) > 0,
    };
  }

  #surplusOf({ newestId, trimmedTo }: LogEnd): number {
    return this.#boundBytes === null ? 0 : newestId - this.#boundBytes - trimmedTo;
  }

  /** Changes `end`. */
  #trim(end: LogEnd): void {
    const surplus = this.#surplusOf(end);
    if (surplus <= this.#slackBytes) return;
    const goal = end.trimmedTo + Math.min(surplus, TRIM_RATIO * (end.newestId - end.trimmedAt));
    end.trimmedAt = end.newestId;
    let isDone = false;
    while (!isDone) isDone = !this.#trimStep(end) || end.trimmedTo >= goal;
  }

  /** Changes `end`. @returns whether it has taken anything out. */
  #trimStep(end: LogEnd): boolean {
    const surplusTo = end.newestId - (this.#boundBytes ?? 0);
    const to = Math.min(surplusTo, end.trimmedTo + TRIM_BYTES);
    const last = this.#statements.lastBefore.get(end.newestId, to, TRIM_UPDATES)?.id ?? null;
    if (last === null) {
      // The newest alone is longer than the bound, or another program has deleted the rest.
      end.trimmedTo = this.#beginOfOldest(end.newestId);
      return false;
    }
    this.#statements.trimIndex.run(last);
    this.#statements.trim.run(last);
    end.trimmedTo = last;
    return true;
  }

  #beginOfOldest(newestId: number): number {
    const oldest = this.#statements.oldest.get();
    return oldest === null ? newestId : oldest.id - bytesInFile(oldest);
  }

  #load(): void {
    this.#removeForeignUpdates();
    const newest = this.#statements.newestUpdate.get();
    // No id is given twice, even where another program has deleted what was logged.
    const newestId = Math.max(newest?.id ?? 0, this.#end.newestId);
    const state = this.#state();
    let indexedTo = state?.indexed_to ?? null;
    this.#epoch = state?.epoch ?? crypto.randomUUID();
    if (indexedTo === null) {
      // Another program has deleted it: updates in no index belong to an epoch that is over.
      indexedTo = newestId;
      this.#statements.addState.run(this.#epoch, indexedTo);
    }
    const newestAtMs = Math.max(newest?.saved_at ?? 0, this.#end.savedAtMs);
    let unindexed = 0;
    for (const { ticker, seq, saved_at, updates } of this.#statements.unindexed.all(indexedTo)) {
      unindexed += updates;
      const known = Math.max(seq, this.#positions.get(ticker) ?? 0);
      // The time of an update that was deleted is unknown. The newest of all is not before it.
      this.#unindexed.set(ticker, { seq: known, savedAtMs: known === seq ? saved_at : newestAtMs });
      this.#positions.set(ticker, known);
    }
    const end = Math.max(newestId, indexedTo);
    this.#end = {
      newestId: end,
      indexedTo,
      savedAtMs: newestAtMs,
      unindexed,
      trimmedTo: this.#beginOfOldest(end),
      trimmedAt: end,
    };
  }

  #newest(ticker: string): number {
    const known = this.#positions.get(ticker) ?? this.#unindexed.get(ticker)?.seq;
    return known ?? this.#statements.position.get(ticker)?.seq ?? 0;
  }
}

/** Lengths in bytes. */
interface TextBytes {
  ticker: number;
  type: number;
  frame: number;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** Estimated size of an update in the file, with its entry in the index. */
function bytesInFile({ ticker, type, frame }: TextBytes): number {
  const row = ROW_BYTES + ticker + type + frame;
  const inPages =
    row > PAGE_BYTES
      ? Math.ceil(row / PAGE_BYTES) * PAGE_BYTES
      : Math.ceil(PAGE_BYTES / Math.floor(PAGE_BYTES / row));
  return inPages + INDEX_ROW_BYTES + ticker;
}

function prepareStatements(db: Database) {
  const prepare = <R>(sql: string): Statement<R, Params> => db.prepare<R, Params>(sql);
  return {
    dataVersion: prepare<{ data_version: number }>("PRAGMA data_version"),
    append: prepare(
      `INSERT INTO update_log (id, ticker, seq, type, saved_at, save_id, request_key, counts, frame)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    /** Goes on where another program has deleted the ticker's row in update_positions. */
    position: prepare<{ seq: number | null }>(
      `SELECT coalesce((SELECT seq FROM update_positions WHERE ticker = ?1),
         (SELECT max(seq) FROM update_log_index WHERE ticker = ?1)) AS seq`,
    ),
    ofRequest: prepare<LoggedSave>(
      "SELECT seq AS position, counts FROM update_log WHERE request_key = ? LIMIT 1",
    ),
    indexedSaveIds: prepare<{ save_id: string } & LoggedSave>(
      `SELECT save_id, update_log.seq AS position, counts
       FROM (SELECT id FROM update_log_index WHERE ticker = ? ORDER BY seq DESC LIMIT ?) AS newest
       CROSS JOIN update_log USING (id) WHERE save_id IS NOT NULL`,
    ),
    otherSaveIds: prepare<{ save_id: string } & LoggedSave>(
      `SELECT save_id, seq AS position, counts FROM update_log
       WHERE id > ? AND ticker = ? AND save_id IS NOT NULL`,
    ),
    index: prepare(
      `INSERT OR REPLACE INTO update_log_index (ticker, seq, id)
       SELECT ticker, seq, id FROM update_log WHERE id > ? ORDER BY ticker, seq`,
    ),
    setPosition: prepare(
      `INSERT INTO update_positions (ticker, seq, saved_at) VALUES (?, ?, ?)
       ON CONFLICT (ticker) DO UPDATE SET seq = excluded.seq, saved_at = excluded.saved_at`,
    ),
    addState: prepare("INSERT INTO update_log_state (id, epoch, indexed_to) VALUES (1, ?, ?)"),
    setIndexedTo: prepare("UPDATE update_log_state SET indexed_to = ?"),
    setEpoch: prepare("UPDATE update_log_state SET epoch = ?"),
    state: prepare<{ epoch: string; indexed_to: number }>("SELECT epoch, indexed_to FROM update_log_state"),
    endEpoch: prepare("DELETE FROM update_log_state"),
    removeAfter: prepare("DELETE FROM update_log WHERE id > ?"),
    removeOdd: prepare(
      `DELETE FROM update_log WHERE id > coalesce((SELECT max(indexed_to) FROM update_log_state WHERE typeof(indexed_to) = 'integer'), 0)
         AND (typeof(seq) <> 'integer' OR seq NOT BETWEEN 1 AND ?)`,
    ),
    damagedPositions: prepare<{ ticker: string }>(
      "SELECT ticker FROM update_positions WHERE typeof(seq) <> 'integer' OR seq NOT BETWEEN 0 AND ? LIMIT 5",
    ),
    mendPositions: prepare(
      `UPDATE update_positions SET seq = coalesce((SELECT max(log.seq) FROM update_log_index AS log
         WHERE log.ticker = update_positions.ticker AND typeof(log.seq) = 'integer' AND log.seq BETWEEN 0 AND ?1), 0)
       WHERE typeof(seq) <> 'integer' OR seq NOT BETWEEN 0 AND ?1`,
    ),
    newestUpdate: prepare<{ id: number; saved_at: number }>(
      "SELECT id, saved_at FROM update_log ORDER BY id DESC LIMIT 1",
    ),
    unindexed: prepare<{ ticker: string; seq: number; saved_at: number; updates: number }>(
      "SELECT ticker, max(seq) AS seq, max(saved_at) AS saved_at, count(*) AS updates FROM update_log WHERE id > ? GROUP BY ticker",
    ),
    oldest: prepare<{ id: number } & TextBytes>(
      `SELECT id, length(CAST(ticker AS BLOB)) AS ticker, length(CAST(type AS BLOB)) AS type,
         length(CAST(frame AS BLOB)) AS frame FROM update_log ORDER BY id LIMIT 1`,
    ),
    /**
     * Among the oldest rows that begin before ?2, even if they end after it; never the newest, ?1.
     */
    lastBefore: prepare<{ id: number | null }>(
      `SELECT max(id) AS id FROM (SELECT id FROM update_log
         WHERE id < ?1 AND id <= coalesce((SELECT min(id) FROM update_log WHERE id >= ?2), ?2) ORDER BY id LIMIT ?3)`,
    ),
    trimIndex: prepare(
      "DELETE FROM update_log_index WHERE (ticker, seq) IN (SELECT ticker, seq FROM update_log WHERE id <= ?)",
    ),
    removeIndexed: prepare("DELETE FROM update_log_index WHERE ticker = ?"),
    trim: prepare("DELETE FROM update_log WHERE id <= ?"),
  };
}
