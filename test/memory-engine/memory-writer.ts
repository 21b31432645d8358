/** Applies saves to a database in memory, one after the other. */
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import { noteName } from "../../src/market/rollup-note.ts";
import { nowText } from "../../src/market/timestamp.ts";
import { CompletedRows, ROWS_BEFORE } from "../../src/storage/completed-rows.ts";
import {
  type Count,
  type Edit,
  type EditOutcome,
  hasChanged,
  type Removal,
  type Renaming,
  type Save,
  type SaveCounts,
  type SaveOutcome,
  type SaveRefusal,
  type SaveRows,
  type SaveTicks,
  type StockWriter,
  type TickRow,
} from "../../src/storage/contract.ts";
import { countText } from "../../src/storage/count-text.ts";
import {
  editedBefore,
  editedOutcome,
  foundOutcome,
  identifiedEntryOf,
  logEntriesOf,
  loggedOutcomes,
} from "../../src/storage/edits.ts";
import {
  type KindName,
  keyText,
  kindOf,
  type SeriesRow,
  type SeriesValue,
  updateTypeOf,
} from "../../src/storage/model/kinds.ts";
import { countsText, type LoggedSave, mayBeLogged, repeatedOutcome } from "../../src/storage/save-counts.ts";
import { inGroups, refusedTogether } from "../../src/storage/save-groups.ts";
import { noteMoved, tickerTaken } from "../../src/storage/save-refusals.ts";
import { ofSeries, together } from "../../src/storage/series-saves.ts";
import { chooseRows } from "../../src/storage/staged-rows.ts";
import { StampTicks } from "../../src/storage/stamp-ticks.ts";
import { placeTicks } from "../../src/storage/tick-placement.ts";
import type { LogEntry } from "../../src/storage/update-contract.ts";
import { type MemoryRow, type MemorySeries, type MemoryTables, seriesKey } from "./memory-tables.ts";

export class MemoryWriter implements StockWriter {
  readonly #tables: MemoryTables;
  readonly #logBytes: number;
  /** Ticks of series by their stamp, as of so many rows. */
  readonly #stamps = new WeakMap<MemorySeries["rows"], { rows: number; stored: Map<string, MemoryRow[]> }>();

  /** @param logBytes of the frames of all tickers together; older ones go. */
  constructor(tables: MemoryTables, logBytes: number) {
    this.#tables = tables;
    this.#logBytes = logBytes;
  }

  commit(saves: Save[]): SaveOutcome[] {
    const outcomes = inGroups(saves).flatMap((group) => this.#saveGroup(group));
    this.#trim();
    return outcomes;
  }

  /** Brings the log to a bound that was lowered since. */
  tidy(): boolean {
    this.#trim();
    return false;
  }

  changedByOthers(): boolean {
    return false;
  }

  edit(edit: Edit): EditOutcome {
    const { epoch } = this.#tables;
    const identified = identifiedEntryOf(edit);
    if (identified !== null && mayBeLogged(identified)) {
      const known = this.#savesOf(identified).get(identityOf(identified));
      if (known !== undefined) return editedBefore(repeatedOutcome(identified, known, epoch));
    }
    if (edit.note !== undefined && !this.#tables.changeNote(edit.note)) return noteMoved(edit.note);
    const rows = edit.what === "removal" ? this.#remove(edit) : this.#rename(edit);
    if (typeof rows !== "number") return rows;
    if (rows === 0 || edit.dryRun) return foundOutcome({ rows }, epoch);
    const entries = logEntriesOf(edit, rows);
    const outcomes = loggedOutcomes(entries, rows);
    const positions = entries.map((entry, index) => this.#log(entry, outcomes[index]!));
    this.#trim();
    return editedOutcome(entries, rows, positions, epoch);
  }

  removeCheck(ticker: string): void {
    for (const [key, series] of this.#tables.series)
      if (series.ticker === ticker) this.#tables.series.delete(key);
    this.#tables.logs.delete(ticker);
  }

  isEmpty(): boolean {
    return this.#tables.series.size === 0;
  }

  close(): void {}

  #saveGroup(group: Save[]): SaveOutcome[] {
    const before = group.length > 1 ? this.#tables.copy() : null;
    const outcomes = group.map((save) => this.#save(save));
    if (before === null || outcomes.every(({ ok }) => ok)) return outcomes;
    this.#tables.putBack(before);
    return refusedTogether(outcomes);
  }

  #save(save: Save): SaveOutcome {
    const { epoch } = this.#tables;
    const known = mayBeLogged(save) ? this.#savesOf(save).get(identityOf(save)) : undefined;
    if (known !== undefined) return repeatedOutcome(save, known, epoch);
    const note = save.kind === "ticks" ? undefined : save.note;
    if (note !== undefined && !this.#tables.changeNote(note)) return noteMoved(note);
    const outcome = save.kind === "ticks" ? this.#saveTicks(save) : this.#saveRows(save);
    if (!outcome.ok) return outcome;
    if (!hasChanged(outcome)) return Object.assign(outcome, { epoch });
    return { ...outcome, position: this.#log(save, outcome), epoch };
  }

  /** The key of a request tells its ticker, which may have been renamed since. */
  #savesOf({ ticker, update }: LogEntry): Map<string, LoggedSave> {
    return update?.request === undefined ? this.#tables.logOf(ticker).saves : this.#tables.requests;
  }

  /** @returns its position. */
  #log(entry: LogEntry, outcome: SaveCounts): number {
    const log = this.#tables.logOf(entry.ticker);
    const position = log.newest.position + 1;
    const savedAtMs = Math.max(Date.now(), log.newest.savedAtMs ?? 0);
    log.newest = { position, savedAtMs };
    log.updates.push({ position, type: updateTypeOf(entry), frame: entry.update?.frame ?? "", savedAtMs });
    if (entry.update !== undefined)
      this.#savesOf(entry).set(identityOf(entry), {
        position,
        counts: countsText(outcome, entry.update.request),
      });
    return position;
  }

  #remove({ kind, ticker, part, from, to, ids, extra, dryRun }: Removal & { dryRun: boolean }): number {
    let removed = 0;
    const placeOf = (column: string) => 1 + kindOf(kind).values.findIndex(({ name }) => name === column);
    const [idAt, extraAt] = [placeOf("id"), placeOf("extra")];
    for (const series of [...this.#tables.series.values()]) {
      const isOf = series.kind === kind && series.ticker === ticker.toWellFormed();
      if (!isOf || (part !== null && series.part !== part.toWellFormed())) continue;
      for (const [key, { row }] of [...series.rows]) {
        const isWithin = (from === null || row[0] >= from) && (to === null || row[0] <= to);
        if (!isWithin || (ids !== null && !ids.includes(String(row[idAt])))) continue;
        if (extra !== undefined && row[extraAt] !== extra) continue;
        removed++;
        if (!dryRun) series.rows.delete(key);
      }
      if (kind === "daily" && !dryRun) this.#computeAverages(series);
      if (series.rows.size === 0) this.#forget(series);
    }
    return removed;
  }

  #rename({ ticker, newTicker, dryRun }: Renaming & { dryRun: boolean }): number | SaveRefusal {
    const all = [...this.#tables.series.values()];
    if (all.some((series) => series.ticker === newTicker.toWellFormed())) return tickerTaken(newTicker);
    const renamed = all.filter((series) => series.ticker === ticker.toWellFormed());
    for (const series of dryRun ? [] : renamed) {
      this.#forget(series);
      this.#tables.seriesOf(series.kind, newTicker, series.part).rows = series.rows;
    }
    if (renamed.length > 0 && !dryRun) this.#tables.renameNote(noteName(ticker), noteName(newTicker));
    return renamed.reduce((sum, { rows }) => sum + rows.size, 0);
  }

  #saveRows(save: SaveRows): SaveOutcome {
    return together(ofSeries(save).map((each) => this.#saveSeries(this.#completed(each))));
  }

  #completed(save: SaveRows): SaveRows {
    if (save.onDuplicate !== "complete") return save;
    const series = this.#tables.find(save.kind, save.ticker, save.part);
    const stored = series === undefined ? [] : this.#tables.sorted(series).map(({ row }) => row);
    const before = stored.filter(([stamp]) => stamp <= save.rows[0]![0]);
    return new CompletedRows().complete(save, before.reverse().slice(0, ROWS_BEFORE));
  }

  #saveSeries(save: SaveRows): SaveOutcome {
    const kind = kindOf(save.kind);
    const series = this.#tables.seriesOf(save.kind, save.ticker, save.part);
    const { rows, outcome } = chooseRows(save, {
      has: (row) => series.rows.has(keyText(kind, row)),
      row: (row) => series.rows.get(keyText(kind, row))?.row ?? null,
    });
    const written = nowText();
    for (const row of rows)
      series.rows.set(keyText(kind, row), {
        row: whole(save.kind, row.map(withoutSign) as SeriesRow),
        computed: [],
        written,
      });
    if (save.kind === "daily") this.#computeAverages(series);
    if (series.rows.size === 0) this.#forget(series);
    return outcome;
  }

  #saveTicks(save: SaveTicks): SaveOutcome {
    const series = this.#tables.seriesOf("ticks", save.ticker, save.part);
    const stamps = new Map<string, StampTicks>();
    const stored = this.#byStamp(series);
    const ticksOf = (stamp: string): StampTicks => {
      const ticks = stamps.get(stamp) ?? this.#ticksOf(stored.get(stamp) ?? []);
      stamps.set(stamp, ticks);
      return ticks;
    };
    const { outcome } = placeTicks(save, ticksOf, countText);
    const written = nowText();
    for (const [stamp, { slots }] of stamps) {
      for (const [seq, { price, size, askPrice, askSize, id, extra, change }] of slots) {
        if (change === null) continue;
        const values = [price, countOf(size), askPrice, countOf(askSize)].map(withoutSign);
        const row: SeriesRow = [stamp, ...values, id, extra, seq];
        series.rows.set(keyText(kindOf("ticks"), row), { row, computed: [], written });
      }
      const keys = [...slots.keys()].map((seq) => keyText(kindOf("ticks"), [stamp, seq]));
      stored.set(
        stamp,
        keys.map((key) => series.rows.get(key)!),
      );
    }
    this.#stamps.set(series.rows, { rows: series.rows.size, stored });
    if (series.rows.size === 0) this.#forget(series);
    return outcome;
  }

  /** Kept from save to save: to group all rows anew takes longer with each. */
  #byStamp({ rows }: MemorySeries): Map<string, MemoryRow[]> {
    const known = this.#stamps.get(rows);
    if (known?.rows === rows.size) return known.stored;
    return Map.groupBy(rows.values(), ({ row: [stamp] }) => stamp);
  }

  /** @param stored those of one stamp. */
  #ticksOf(stored: MemoryRow[]): StampTicks {
    const ticks = new StampTicks();
    for (const { row } of stored) {
      const [, price, size, askPrice, askSize, id, extra, seq] = row as TickRow;
      const values = { price, size: countText(size), askPrice, askSize: countText(askSize), id, extra };
      ticks.addStored(seq!, values);
    }
    return ticks;
  }

  /** Of the whole series, from its first day on. */
  #computeAverages(series: MemorySeries): void {
    const days = this.#tables.sorted(series);
    const closes = days.map(({ row }) => row[4] as number | null);
    const { rows } = continueAverages(startState(), [], closes);
    for (const [index, day] of days.entries()) day.computed = rows[index] ?? AVERAGE_COLUMNS.map(() => null);
  }

  #forget({ kind, ticker, part }: MemorySeries): void {
    this.#tables.series.delete(seriesKey(kind, ticker, part));
  }

  #trim(): void {
    const logs = [...this.#tables.logs.values()];
    let bytes = 0;
    for (const { updates } of logs) for (const { frame } of updates) bytes += frame.length;
    while (bytes > this.#logBytes) {
      const oldest = logs
        .filter(({ updates }) => updates.length > 0)
        .reduce((a, b) => (a.updates[0]!.savedAtMs <= b.updates[0]!.savedAtMs ? a : b));
      bytes -= oldest.updates.shift()!.frame.length;
    }
  }
}

function identityOf({ update }: Pick<LogEntry, "update">): string {
  return update?.request?.key ?? update?.saveId ?? "";
}

/** With nulls for the values that it lacks at its end. */
function whole(kind: KindName, row: SeriesRow): SeriesRow {
  const { values, hasSeq } = kindOf(kind);
  const missing = 1 + values.length + (hasSeq ? 1 : 0) - row.length;
  return [...row, ...new Array(missing).fill(null)] as SeriesRow;
}

/** No engine keeps the sign of a zero. */
function withoutSign(value: SeriesValue): SeriesValue {
  return value === 0 ? 0 : value;
}

/** Digits that a double doesn't hold stay text. */
function countOf(text: string | null): Count | null {
  if (text === null) return null;
  const number = Number(text);
  return /^-?\d{16,19}$/.test(text) && !Number.isSafeInteger(number) ? text : number;
}
