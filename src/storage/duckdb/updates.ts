/** Reads updates: from the hub's memory, or from the log in one statement and so one snapshot. */
import { KIND_NAMES, kindOf } from "../model/kinds.ts";
import { unpackUpdates } from "../packed-frames.ts";
import type {
  NewestRow,
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { storable } from "./lines.ts";
import type { ReadSessions } from "./read-sessions.ts";
import { rowOfTexts, stampText, valueTexts } from "./row-texts.ts";
import type { CountTypes } from "./schema.ts";
import { NOWHERE, readAllPlaces, readPlaces, type UpdateLog } from "./update-log.ts";

/** Chooses updates by their sizes before it reads frames. The first always fits. */
const AFTER = `SELECT u.seq, u.type, u.saved_at, u.frame, json_valid(u.frame) FROM update_log u JOIN (
    SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
      SELECT seq, size FROM update_log WHERE ticker = $1 AND seq > $2::VARCHAR::BIGINT ORDER BY seq LIMIT $3))
    WHERE before < $4) chosen
  ON u.seq = chosen.seq WHERE u.ticker = $1 ORDER BY u.seq`;
/** A larger limit leaves only `updates` as bound. */
const CHARACTERS_MAX = 0x7fff_ffff;

export class DuckDbUpdates implements UpdateReader {
  readonly #file: DuckDbFile;
  readonly #log: UpdateLog;
  readonly #sessions: ReadSessions;

  constructor(file: DuckDbFile, log: UpdateLog, sessions: ReadSessions) {
    this.#file = file;
    this.#log = log;
    this.#sessions = sessions;
  }

  epoch(): string {
    return this.#log.epoch;
  }

  async positions(tickers: readonly string[] | null): Promise<Map<string, number>> {
    if (tickers === null) {
      const all = this.#log.allPositions();
      if (all !== null) return all;
      const places = await this.#sessions.call(readAllPlaces);
      return new Map([...places].map(([ticker, { seq }]) => [ticker, seq]));
    }
    const unknown = tickers.map(storable).filter((ticker) => this.#log.place(ticker) === null);
    const read =
      unknown.length === 0
        ? null
        : await this.#sessions.call((session) => readPlaces(session, [...new Set(unknown)]));
    const positions = new Map<string, number>();
    for (const ticker of tickers) {
      const seq = read?.get(storable(ticker))?.seq ?? this.#log.place(storable(ticker))?.seq ?? 0;
      if (seq > 0) positions.set(ticker, seq);
    }
    return positions;
  }

  async newest(ticker: string): Promise<NewestUpdate> {
    const name = storable(ticker);
    const known = this.#log.place(name);
    const { seq, savedAtMs } =
      known ?? (await this.#sessions.call((session) => readPlaces(session, [name]))).get(name) ?? NOWHERE;
    return { position: seq, savedAtMs };
  }

  async after(ticker: string, after: number, limit: UpdateLimit): Promise<StoredUpdate[]> {
    const name = storable(ticker);
    const place = this.#log.place(name);
    if (place !== null && place.seq <= after) return [];
    const recent = this.#log.recent.after(name, after, limit);
    if (recent !== null) return unpackUpdates(recent, limit);
    const rows = await this.#sessions.call((session) =>
      session.rows(AFTER, [
        name,
        String(after),
        limit.updates,
        Math.max(1, Math.min(limit.characters, CHARACTERS_MAX)),
      ]),
    );
    const updates: StoredUpdate[] = [];
    for (const [seq, type, savedAtMs, frame, isJson] of rows) {
      // Another program deleted updates. The next question gets those beyond the hole.
      if (updates.length > 0 && Number(seq) !== updates.at(-1)!.position + 1) break;
      updates.push({
        position: Number(seq),
        type: String(type),
        savedAtMs: Number(savedAtMs),
        // Another program spoilt the frame; the row counts as one whose content isn't kept.
        frame: isJson === true ? String(frame) : "",
      });
    }
    return unpackUpdates(updates, limit);
  }

  async keptSinceMs(): Promise<number | null> {
    const rows = await this.#sessions.call((session) =>
      session.rows("SELECT saved_at FROM update_log WHERE id = (SELECT min(id) FROM update_log)"),
    );
    return rows[0] === undefined ? null : Number(rows[0][0]);
  }

  logBytes(): number {
    return this.#log.characters;
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const name = storable(ticker);
    // Noted before the statement begins, which therefore sees this update.
    const place = this.#log.place(name) ?? NOWHERE;
    const rows = await this.#sessions.call((session) =>
      session.rows(snapshotSql(this.#file.countTypes), [name, String(place.id)]),
    );
    const newest: NewestRow[] = [];
    let position = place.seq;
    for (const [index, part, seq, stamp, ...values] of rows) {
      if (index === POSITION) position = Math.max(place.seq, Number(seq ?? 0));
      else {
        const kind = KIND_NAMES[index as number]!;
        const row = rowOfTexts(kind, [stamp, ...values], "snapshot");
        newest.push({ kind, part: part as string | null, row });
      }
    }
    return { position, newest };
  }
}

/** The first column of a snapshot holds the index of a kind, or this for the position. */
const POSITION = -1;
const COLUMNS_MAX = Math.max(...KIND_NAMES.map((name) => kindOf(name).values.length));

/**
 * Columns: index of the kind, part, seq, stamp, the values as text. Looks for positions beyond the
 * known id. Without one, which is 0, trimmed positions count too.
 */
function snapshotSql(types: CountTypes): string {
  const filled = (values: string[]): string =>
    [...values, ...Array(COLUMNS_MAX - values.length).fill("NULL::VARCHAR")].join(", ");
  const newest = KIND_NAMES.flatMap((name, index) => {
    const kind = kindOf(name);
    const { table, stamp, part, snapshotParts, hasSeq } = kind;
    if (snapshotParts?.length === 0) return [];
    const order = [stamp.name, ...(hasSeq ? ["seq"] : [])].map((column) => `${column} DESC`).join(", ");
    const values = valueTexts(kind, types);
    const select = `SELECT ${index}, ${part === null ? "NULL::VARCHAR" : `"${part}"`}, ${hasSeq ? "seq" : "NULL::BIGINT"},
      ${stampText(kind)}, ${filled(values)} FROM ${table} WHERE ticker = $1`;
    if (part === null) return [`(${select} ORDER BY ${order} LIMIT 1)`];
    // With known parts, DuckDB keeps one row of each while it reads, and sorts none.
    if (snapshotParts !== null)
      return snapshotParts.map((named) => `(${select} AND "${part}" = '${named}' ORDER BY ${order} LIMIT 1)`);
    if (part === null) return [`(${select} ORDER BY ${order} LIMIT 1)`];
    return [`(${select} QUALIFY row_number() OVER (PARTITION BY "${part}" ORDER BY ${order}) = 1)`];
  });
  const position = `(SELECT ${POSITION}, NULL::VARCHAR, max(seq), NULL::VARCHAR, ${filled([])} FROM (
      SELECT seq FROM update_log WHERE ticker = $1 AND id > $2::VARCHAR::BIGINT
      UNION ALL SELECT seq FROM update_positions WHERE ticker = $1 AND $2 = '0'))`;
  return [position, ...newest].join(" UNION ALL ");
}
