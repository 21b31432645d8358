/** Applies saves to a database in memory, one after the other. */
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import { nowText } from "../../src/market/timestamp.ts";
import type {
  Count,
  Save,
  SaveOutcome,
  SaveRows,
  SaveTicks,
  StockWriter,
} from "../../src/storage/contract.ts";
import {
  keyText,
  kindOf,
  type SeriesRow,
  type SeriesValue,
  updateTypeOf,
} from "../../src/storage/model/kinds.ts";
import { chooseRows } from "../../src/storage/staged-rows.ts";
import { type CountRule, placeTicks, type TickSlots } from "../../src/storage/tick-placement.ts";
import { type MemorySeries, type MemoryTables, seriesKey } from "./memory-tables.ts";

const COUNTS: CountRule = {
  countText: (count) => (count === null ? null : String(count)),
  isSameCount: (a, b) => a === b || (a !== null && b !== null && Number(a) === Number(b)),
};

export class MemoryWriter implements StockWriter {
  readonly #tables: MemoryTables;
  readonly #logBytes: number;

  /** @param logBytes of the frames of all tickers together; older ones go. */
  constructor(tables: MemoryTables, logBytes: number) {
    this.#tables = tables;
    this.#logBytes = logBytes;
  }

  commit(saves: Save[]): SaveOutcome[] {
    const outcomes = saves.map((save) => this.#save(save));
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

  removeCheck(ticker: string): void {
    for (const [key, series] of this.#tables.series)
      if (series.ticker === ticker) this.#tables.series.delete(key);
    this.#tables.logs.delete(ticker);
  }

  isEmpty(): boolean {
    return this.#tables.series.size === 0;
  }

  close(): void {}

  #save(save: Save): SaveOutcome {
    const log = this.#tables.logOf(save.ticker);
    const known = save.update?.repeated ? log.positionOf.get(save.update.saveId) : undefined;
    if (known !== undefined) return { ok: true, stored: 0, position: known };
    const outcome = save.kind === "ticks" ? this.#saveTicks(save) : this.#saveRows(save);
    if (!outcome.ok || outcome.stored === 0) return outcome;
    const position = log.newest.position + 1;
    const savedAtMs = Math.max(Date.now(), log.newest.savedAtMs ?? 0);
    log.newest = { position, savedAtMs };
    log.updates.push({ position, type: updateTypeOf(save), frame: save.update?.frame ?? "", savedAtMs });
    if (save.update !== undefined) log.positionOf.set(save.update.saveId, position);
    return { ...outcome, position };
  }

  #saveRows(save: SaveRows): SaveOutcome {
    const kind = kindOf(save.kind);
    const series = this.#tables.seriesOf(save.kind, save.ticker, save.part);
    const { rows, outcome } = chooseRows(save, (row) => series.rows.has(keyText(kind, row)));
    const written = nowText();
    for (const row of rows)
      series.rows.set(keyText(kind, row), { row: row.map(withoutSign) as SeriesRow, computed: [], written });
    if (save.kind === "daily") this.#computeAverages(series);
    if (series.rows.size === 0) this.#forget(series);
    return outcome;
  }

  #saveTicks(save: SaveTicks): SaveOutcome {
    const series = this.#tables.seriesOf("ticks", save.ticker, save.part);
    const slotsOf = new Map<string, TickSlots>();
    const load = (stamp: string): TickSlots => {
      const slots = slotsOf.get(stamp) ?? this.#slotsAt(series, stamp);
      slotsOf.set(stamp, slots);
      return slots;
    };
    const { outcome } = placeTicks(save, load, COUNTS);
    const written = nowText();
    for (const [stamp, slots] of slotsOf) {
      for (const [seq, slot] of slots) {
        if (slot.change === null) continue;
        const { price, askPrice } = slot;
        const values = [price, countOf(slot.size), askPrice, countOf(slot.askSize)].map(withoutSign);
        const row: SeriesRow = [stamp, ...values, seq];
        series.rows.set(keyText(kindOf("ticks"), row), { row, computed: [], written });
      }
    }
    if (series.rows.size === 0) this.#forget(series);
    return outcome;
  }

  #slotsAt(series: MemorySeries, stamp: string): TickSlots {
    const slots: TickSlots = new Map();
    for (const { row } of series.rows.values()) {
      if (row[0] !== stamp) continue;
      const [, price, size, askPrice, askSize, seq] = row as [string, ...(number | null)[]];
      slots.set(seq!, {
        price: price!,
        size: COUNTS.countText(size!),
        askPrice: askPrice!,
        askSize: COUNTS.countText(askSize!),
        isStored: true,
        change: null,
      });
    }
    return slots;
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
    let bytes = logs.flatMap(({ updates }) => updates).reduce((sum, { frame }) => sum + frame.length, 0);
    while (bytes > this.#logBytes) {
      const oldest = logs
        .filter(({ updates }) => updates.length > 0)
        .reduce((a, b) => (a.updates[0]!.savedAtMs <= b.updates[0]!.savedAtMs ? a : b));
      bytes -= oldest.updates.shift()!.frame.length;
    }
  }
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
