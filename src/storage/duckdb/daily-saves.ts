/**
 * Saves daily bars together with the moving averages of the ticker's whole series.
 *
 * Recomputes from the last checkpoint before the first saved date, and rewrites only rows whose
 * averages changed. DuckDB has no triggers that could delete the checkpoint of a changed close. So
 * a checkpoint carries a hash of the closes before it, which is compared before its first use.
 */

import { AVERAGE_COLUMNS, EMA_PERIODS } from "../../market/moving-averages.ts";
import type { BarRow, SaveOutcome, SaveRows } from "../contract.ts";
import {
  type CheckpointRow,
  CLOSES_BEFORE,
  changesOfSeries,
  type SeriesChanges,
  type SeriesPart,
} from "../daily-series.ts";
import { kindOf, type SeriesRow } from "../model/kinds.ts";
import { StagedRows } from "../staged-rows.ts";
import {
  anyTextField,
  countText,
  decodedField,
  type Field,
  linesWithNames,
  linesWithNamesAndNow,
  Names,
  namesOf,
  storable,
  textField,
  toLines,
} from "./lines.ts";
import { readMerging, SeriesLines } from "./plain-saves.ts";
import type { Session } from "./session.ts";

/** Bounds the series in memory: 5,000 rows of each take about 100 MB. */
const TICKERS_AT_ONCE = 128;
/** Before every date that can be stored. */
const BEGINNING = "0001-01-01";

interface Series extends SeriesPart {
  ticker: string;
  /** The ticker's place among the names of its group. */
  place: number;
  /** Indexes of its saves in the batch, in their order. */
  saves: number[];
  /** The oldest date in its saves. */
  first: string;
  /** Date of the checkpoint to go on from, or BEGINNING. */
  from: string;
  hasLaterCheckpoints: boolean;
}

interface Group {
  saves: SaveRows[];
  outcomes: SaveOutcome[];
  now: string;
  /** All averages from this date on, also without a save. */
  from?: string | null;
}

export class DailySaves {
  readonly #session: Session;
  /** Tickers whose checkpoints match their closes, as of `#asOf` commits of users. */
  #trusted = new Set<string>();
  #asOf = -1;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Writes in the caller's transaction. @returns outcomes in the order of the saves. */
  async save(saves: SaveRows[], { now, foreignCommits }: { now: string; foreignCommits: number }) {
    if (this.#asOf !== foreignCommits) this.#trusted.clear();
    this.#asOf = foreignCommits;
    const byTicker = new Map<string, number[]>();
    for (const [index, { ticker, rows }] of saves.entries()) {
      if (rows.length === 0) continue;
      const indexes = byTicker.get(storable(ticker));
      if (indexes === undefined) byTicker.set(storable(ticker), [index]);
      else indexes.push(index);
    }
    const outcomes: SaveOutcome[] = saves.map(() => ({ ok: true, stored: 0, position: null }));
    const tickers = [...byTicker];
    for (let at = 0; at < tickers.length; at += TICKERS_AT_ONCE) {
      await this.#saveGroup(tickers.slice(at, at + TICKERS_AT_ONCE), { saves, outcomes, now });
    }
    return outcomes;
  }

  /** The averages of the ticker's bars from a date on, where bars were removed. */
  async recompute(ticker: string, from: string, foreignCommits: number): Promise<void> {
    if (this.#asOf !== foreignCommits) this.#trusted.clear();
    this.#asOf = foreignCommits;
    await this.#saveGroup([[ticker, []]], { saves: [], outcomes: [], now: "", from });
  }

  /** Trusts the checkpoints that a committed transaction has written. */
  committed(saves: SaveRows[]): void {
    for (const { ticker } of saves) this.#trusted.add(storable(ticker));
  }

  async #saveGroup(
    tickers: [ticker: string, saves: number[]][],
    { saves, outcomes, now, from = null }: Group,
  ): Promise<void> {
    const names = new Names();
    const group = tickers.map(([ticker, indexes]): Series => {
      const firsts = indexes.map((index) => saves[index]!.rows[0]![0]).sort();
      return {
        ticker,
        place: names.place(ticker),
        saves: indexes,
        first: from ?? firsts[0]!,
        from: BEGINNING,
        checkpoint: null,
        closesBefore: [],
        hasLaterCheckpoints: false,
        stored: [],
      };
    });
    const doubted = tickers.map(([ticker]) => ticker).filter((ticker) => !this.#trusted.has(ticker));
    if (doubted.length > 0) await this.#dropWrongCheckpoints(doubted);
    await this.#readCheckpoints(group, names);
    await this.#readStored(group, names);

    const all = group.flatMap((series) => series.saves.map((index) => saves[index]!));
    const merging = await readMerging(
      kindOf("daily"),
      all,
      this.#session,
      new SeriesLines(kindOf("daily"), names),
    );
    const rows = new ChangedRows(names);
    for (const series of group) {
      const dates = new Set(series.stored.map(({ date }) => date as string));
      const bars = choose(series, { saves, dates, merging, outcomes });
      if (bars.length > 0 || from !== null) rows.add(series, dates, changesOfSeries(series, bars));
    }
    await rows.write(this.#session, now);
  }

  async #dropWrongCheckpoints(tickers: string[]): Promise<void> {
    const names = JSON.stringify(tickers);
    const found = await this.#session.rows(
      `SELECT 1 FROM daily_checkpoints WHERE ticker IN (SELECT unnest(n) FROM ${namesOf("$1")}) LIMIT 1`,
      [names],
    );
    if (found.length === 0) return;
    await this.#session.run(
      `DELETE FROM daily_checkpoints WHERE ticker IN (SELECT unnest(n) FROM ${namesOf("$1")})
         AND (ticker, date) NOT IN (SELECT (ticker, date) FROM ${CHECKPOINT_HASHES} WHERE closes_hash = hash_now AND closes = closes_now)`,
      [names],
    );
  }

  async #readCheckpoints(group: Series[], names: Names): Promise<void> {
    const rows = await this.#session.rows(
      `SELECT w.place::INTEGER, max(c.date)::VARCHAR AS newest,
         max(c.date) FILTER (WHERE c.date <= w.first)::VARCHAR AS usable,
         arg_max(${CHECKPOINT}, c.date) FILTER (WHERE c.date <= w.first)
       FROM daily_checkpoints c JOIN (
         SELECT r[1] AS place, n[r[1]::INTEGER] AS ticker, r[2]::DATE AS first FROM ${linesWithNames("$1", "$2")}) w
       ON c.ticker = w.ticker GROUP BY w.place`,
      [toLines(group.map(({ place, first }) => [place, first])), names.json()],
    );
    const byPlace = new Map(group.map((series) => [series.place, series]));
    for (const [place, newest, usable, found] of rows) {
      const series = byPlace.get(place as number)!;
      if (usable !== null) {
        const { recent, ...checkpoint } = (found as unknown as StoredCheckpoint).entries;
        series.from = usable as string;
        series.checkpoint = checkpoint;
        series.closesBefore = [...recent.items];
      }
      series.hasLaterCheckpoints = (newest as string) > series.from;
    }
  }

  async #readStored(group: Series[], names: Names): Promise<void> {
    const earliest = group.map(({ from }) => from).sort()[0]!;
    const result = await this.#session.run(
      `SELECT w.place::INTEGER AS place, d.date::VARCHAR AS date,
         CASE WHEN isfinite(d.close) THEN d.close END AS close,
         ${AVERAGE_COLUMNS.map((name) => `d.${name}`).join(", ")}
       FROM daily_prices d JOIN (
         SELECT r[1] AS place, n[r[1]::INTEGER] AS ticker, r[2]::DATE AS earliest FROM ${linesWithNames("$1", "$2")}) w
       ON d.ticker = w.ticker WHERE d.date >= w.earliest AND d.date >= $3::DATE ORDER BY w.place, d.date, d.rowid`,
      [toLines(group.map(({ place, from }) => [place, from])), names.json(), earliest],
    );
    const byPlace = new Map(group.map((series) => [series.place, series]));
    for (const row of await result.getRowObjects()) byPlace.get(row.place as number)!.stored.push(row);
  }
}

/**
 * The hash and the number of the closes now stored before each checkpoint of the tickers in `$1`.
 * Each close counts for the first checkpoint after it; a checkpoint sums up all before it.
 */
const CHECKPOINT_HASHES = `(
  WITH c AS (SELECT ticker, date, closes, closes_hash FROM daily_checkpoints
      WHERE ticker IN (SELECT unnest(n) FROM ${namesOf("$1")})),
    p AS (SELECT ticker, date, close FROM daily_prices
      WHERE ticker IN (SELECT unnest(n) FROM ${namesOf("$1")}) AND isfinite(close)),
    between_two AS (SELECT c.ticker, c.date, bit_xor(hash(p.date, p.close)) AS hash, count(*) AS closes
      FROM p ASOF JOIN c ON p.ticker = c.ticker AND p.date < c.date GROUP BY c.ticker, c.date)
  SELECT c.*, coalesce(bit_xor(b.hash) OVER up_to, 0) AS hash_now, coalesce(sum(b.closes) OVER up_to, 0) AS closes_now
  FROM c LEFT JOIN between_two b ON b.ticker = c.ticker AND b.date = c.date
  WINDOW up_to AS (PARTITION BY c.ticker ORDER BY c.date))`;

/** A row of `daily_checkpoints`, named `c`, as a `CheckpointRow` with its recent closes. */
const CHECKPOINT = `struct_pack(date := c.date::VARCHAR, closes := c.closes::DOUBLE,
  ${EMA_PERIODS.map((period, i) => `ema_${period} := c.emas[${i + 1}]`).join(", ")}, recent := c.recent)`;

interface StoredCheckpoint {
  entries: CheckpointRow & { recent: { items: number[] } };
}

interface Chosen {
  saves: SaveRows[];
  /** Of the stored rows. */
  dates: Set<string>;
  /** Of `readMerging`. */
  merging: Map<string, SeriesRow>;
  outcomes: SaveOutcome[];
}

/**
 * Applies the saves of one ticker in their order.
 *
 * @returns the bars to write, ascending, each date once.
 */
function choose(series: Series, { saves, dates, merging, outcomes }: Chosen): BarRow[] {
  const staged = new StagedRows({
    has: ([date]) => dates.has(date),
    row: ([date]) => merging.get(`${series.place},${date}`) ?? null,
  });
  for (const index of series.saves) outcomes[index] = staged.stage(saves[index]!);
  return staged.rows() as BarRow[];
}

class ChangedRows {
  readonly #names: Names;
  readonly #inserted: Field[][] = [];
  readonly #updated: Field[][] = [];
  readonly #recomputed: Field[][] = [];
  readonly #checkpoints: Record<string, unknown>[] = [];
  readonly #outdated: Field[][] = [];

  constructor(names: Names) {
    this.#names = names;
  }

  /** @param dates of the stored rows. */
  add(series: Series, dates: Set<string>, changes: SeriesChanges): void {
    const { place } = series;
    for (const { bar, averages } of changes.bars) {
      const [date, open, high, low, close, volume, extra] = bar;
      const values = [open, high, low, close, countText(volume), ...averages];
      const row = [place, date, ...values, anyTextField(extra)];
      (dates.has(date) ? this.#updated : this.#inserted).push(row);
    }
    for (const { date, averages } of changes.averages) this.#recomputed.push([place, date, ...averages]);
    if (series.hasLaterCheckpoints) this.#outdated.push([place, series.from]);
    for (const { index, date, state } of changes.checkpoints) {
      const recent = lastCloses(series.closesBefore, changes.closes, index);
      this.#checkpoints.push({ ticker: series.ticker, date, ...state, recent });
    }
  }

  async write(session: Session, now: string): Promise<void> {
    const names = this.#names.json();
    if (this.#updated.length > 0) await session.run(UPDATE, [toLines(this.#updated), names, now]);
    if (this.#inserted.length > 0) await session.insert(INSERT, [toLines(this.#inserted), names, now]);
    if (this.#recomputed.length > 0) {
      await session.run(UPDATE_AVERAGES, [toLines(this.#recomputed), names]);
    }
    if (this.#outdated.length > 0) await session.run(DELETE_CHECKPOINTS, [toLines(this.#outdated), names]);
    if (this.#checkpoints.length > 0) {
      await session.insert(INSERT_CHECKPOINTS, [JSON.stringify(this.#checkpoints)]);
      await session.run(HASH_CHECKPOINTS, [names]);
    }
  }
}

function lastCloses(recent: number[], closes: (number | null)[], end: number): number[] {
  const last: number[] = [];
  for (let at = end - 1; at >= 0 && last.length < CLOSES_BEFORE; at--) {
    const close = closes[at];
    if (close !== null && close !== undefined) last.push(close);
  }
  last.reverse();
  const missing = CLOSES_BEFORE - last.length;
  return missing === 0 ? last : [...recent.slice(-missing), ...last];
}

const PRICES = ["open", "high", "low", "close", "volume"];
const KEY_FIELDS = "n[r[1]::INTEGER] AS ticker, r[2]::DATE AS date";
const SOURCE = `FROM ${linesWithNames("$1", "$2")}`;
const fields = (columns: string[]): string =>
  columns.map((column, i) => `${textField(i + 3)} AS ${column}`).join(", ");
const assignments = (columns: string[]): string =>
  columns.map((column) => `${column} = s.${column}`).join(", ");
const DAY_VALUES = [...PRICES, ...AVERAGE_COLUMNS];
const DAY = `SELECT ${KEY_FIELDS}, ${fields(DAY_VALUES)}, ${decodedField(DAY_VALUES.length + 3)} AS extra, now::TIMESTAMP AS write_timestamp FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
const INSERT = `INSERT INTO daily_prices BY NAME ${DAY}`;
const UPDATE = `UPDATE daily_prices d SET ${assignments([...DAY_VALUES, "extra", "write_timestamp"])}
  FROM (${DAY}) s WHERE d.ticker = s.ticker AND d.date = s.date`;
const UPDATE_AVERAGES = `UPDATE daily_prices d SET ${assignments(AVERAGE_COLUMNS)}
  FROM (SELECT ${KEY_FIELDS}, ${fields(AVERAGE_COLUMNS)} ${SOURCE}) s WHERE d.ticker = s.ticker AND d.date = s.date`;
const DELETE_CHECKPOINTS = `DELETE FROM daily_checkpoints USING (SELECT ${KEY_FIELDS} ${SOURCE}) s
  WHERE daily_checkpoints.ticker = s.ticker AND daily_checkpoints.date > s.date`;
const INSERT_CHECKPOINTS = `INSERT INTO daily_checkpoints BY NAME SELECT unnest(from_json($1,
  '[{"ticker": "VARCHAR", "date": "DATE", "closes": "BIGINT", "emas": ["DOUBLE"], "recent": ["DOUBLE"]}]'), max_depth := 2)`;
const HASH_CHECKPOINTS = `UPDATE daily_checkpoints c SET closes_hash = s.hash_now FROM ${CHECKPOINT_HASHES} s
  WHERE c.ticker = s.ticker AND c.date = s.date AND c.closes_hash IS NULL`;
