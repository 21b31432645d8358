/**
 * Reads of the update log. What the hub's memory doesn't hold is read beside the saves, each read
 * in one statement and so from one snapshot.
 */
import type { BarRow, TickRow } from "../contract.ts";
import { countOf } from "../transfer-rows.ts";
import type {
  NewestUpdate,
  StoredUpdate,
  TickerSnapshot,
  UpdateLimit,
  UpdateReader,
} from "../update-contract.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { countAsText } from "./json-rows.ts";
import { storable } from "./lines.ts";
import type { ReadSessions } from "./read-sessions.ts";
import type { CountTypes } from "./schema.ts";
import { NOWHERE, readAllPlaces, readPlaces, type UpdateLog } from "./update-log.ts";

/**
 * Finds by their sizes which ones to read, and only then reads the frames. The first has nothing
 * before it, so there is always one.
 */
const AFTER = `SELECT u.seq, u.type, u.saved_at, u.frame, json_valid(u.frame) FROM update_log u JOIN (
    SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
      SELECT seq, size FROM update_log WHERE ticker = $1 AND seq > $2::VARCHAR::BIGINT ORDER BY seq LIMIT $3))
    WHERE before < $4) chosen
  ON u.seq = chosen.seq WHERE u.ticker = $1 ORDER BY u.seq`;
/** Beyond it only `updates` bounds an answer. */
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
    if (recent !== null) return recent;
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
      // A hole, where another program deleted some: what is beyond it is for the next question.
      if (updates.length > 0 && Number(seq) !== updates.at(-1)!.position + 1) break;
      updates.push({
        position: Number(seq),
        type: String(type),
        savedAtMs: Number(savedAtMs),
        // Spoilt by another program: as of a row whose content isn't kept.
        frame: isJson === true ? String(frame) : "",
      });
    }
    return updates;
  }

  async snapshot(ticker: string): Promise<TickerSnapshot> {
    const name = storable(ticker);
    // Noted before the statement begins, so the statement sees this update at least.
    const place = this.#log.place(name) ?? NOWHERE;
    const rows = await this.#sessions.call((session) =>
      session.rows(snapshotSql(this.#file.countTypes), [name, String(place.id)]),
    );
    const snapshot: TickerSnapshot = {
      position: place.seq,
      quote: null,
      trade: null,
      daily: null,
      hourly: null,
    };
    for (const [kind, seq, stamp, ...values] of rows) {
      if (kind === "position") snapshot.position = Math.max(place.seq, Number(seq ?? 0));
      else if (kind === "quote" || kind === "trade") snapshot[kind] = tickOf(stamp, values, Number(seq));
      else if (kind === "daily" || kind === "hourly") snapshot[kind] = barOf(stamp, values);
    }
    return snapshot;
  }
}

type Value = number | null;
const countIn = (value: unknown) => countOf(value as string | null, "snapshot");

function tickOf(stamp: unknown, values: unknown[], seq: number): TickRow {
  const [price, askPrice, , , size, askSize] = values;
  return [String(stamp), price as Value, countIn(size), askPrice as Value, countIn(askSize), seq];
}

function barOf(stamp: unknown, values: unknown[]): BarRow {
  const [open, high, low, close, volume] = values as [Value, Value, Value, Value, unknown];
  return [String(stamp), open, high, low, close, countIn(volume)];
}

/**
 * Columns: kind, seq, stamp, four prices, two counts. The position is the newest beyond the id that
 * is known; where none is known, which is 0, also that noted when rows were trimmed.
 */
function snapshotSql(types: CountTypes): string {
  const number = (column: string) => `CASE WHEN isfinite(${column}) THEN ${column} END`;
  const ticks = ["quote", "trade"].map(
    (
      type,
    ) => `(SELECT '${type}', seq, strftime(timestamp, '%Y-%m-%d %H:%M:%S.%f'), ${number("price")}, ${number("ask_price")},
      NULL::DOUBLE, NULL::DOUBLE, ${countAsText("size", types.get("realtime_data.size"))},
      ${countAsText("ask_size", types.get("realtime_data.ask_size"))}
      FROM realtime_data WHERE ticker = $1 AND type = '${type}' ORDER BY timestamp DESC, seq DESC LIMIT 1)`,
  );
  const bars = [
    ["daily", "daily_prices", "date", "%Y-%m-%d"],
    ["hourly", "hourly_prices", "datetime", "%Y-%m-%d %H:%M:%S"],
  ].map(
    ([
      kind,
      table,
      stamp,
      format,
    ]) => `(SELECT '${kind}', NULL::BIGINT, strftime(${stamp}, '${format}'), ${["open", "high", "low", "close"].map(number).join(", ")},
      ${countAsText("volume", types.get(`${table}.volume`))}, NULL::VARCHAR
      FROM ${table} WHERE ticker = $1 ORDER BY ${stamp} DESC LIMIT 1)`,
  );
  const nothing =
    "NULL::VARCHAR, NULL::DOUBLE, NULL::DOUBLE, NULL::DOUBLE, NULL::DOUBLE, NULL::VARCHAR, NULL::VARCHAR";
  const position = `(SELECT 'position', max(seq), ${nothing} FROM (
      SELECT seq FROM update_log WHERE ticker = $1 AND id > $2::VARCHAR::BIGINT
      UNION ALL SELECT seq FROM update_positions WHERE ticker = $1 AND $2 = '0'))`;
  return [position, ...ticks, ...bars].join(" UNION ALL ");
}
