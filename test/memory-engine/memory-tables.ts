/** The rows of a database in memory, by kind and series, and its updates. */
import type { NoteChange } from "../../src/storage/contract.ts";
import type { KindName, SeriesRow } from "../../src/storage/model/kinds.ts";
import type { LoggedSave } from "../../src/storage/save-counts.ts";
import type { NewestUpdate, StoredUpdate } from "../../src/storage/update-contract.ts";

export interface MemoryRow {
  /** With its `seq`, where the kind has one. */
  row: SeriesRow;
  /** The moving averages of a daily bar; else empty. */
  computed: (number | null)[];
  /** When it was written. */
  written: string;
}

export interface MemorySeries {
  kind: KindName;
  ticker: string;
  part: string | null;
  /** By key, in no order. */
  rows: Map<string, MemoryRow>;
}

interface StampBounds {
  from: string | null;
  to: string | null;
}

interface TickerLog {
  newest: NewestUpdate;
  /** Ascending, without holes; the oldest may be gone. */
  updates: StoredUpdate[];
  /** The others, by what identifies them. */
  saves: Map<string, LoggedSave>;
}

type TablesCopy = Pick<MemoryTables, "series" | "logs" | "requests" | "notes">;

export class MemoryTables {
  readonly epoch = crypto.randomUUID();
  readonly series = new Map<string, MemorySeries>();
  readonly logs = new Map<string, TickerLog>();
  /** Saves and edits of which the client said what request they are, by its key. */
  readonly requests = new Map<string, LoggedSave>();
  readonly notes = new Map<string, string>();

  find(kind: KindName, ticker: string, part: string | null): MemorySeries | undefined {
    return this.series.get(seriesKey(kind, ticker, part));
  }

  seriesOf(kind: KindName, ticker: string, part: string | null): MemorySeries {
    const key = seriesKey(kind, ticker, part);
    let series = this.series.get(key);
    if (series === undefined) {
      series = { kind, ticker: ticker.toWellFormed(), part: part?.toWellFormed() ?? null, rows: new Map() };
      this.series.set(key, series);
    }
    return series;
  }

  logOf(ticker: string): TickerLog {
    let log = this.logs.get(ticker);
    if (log === undefined) {
      log = { newest: { position: 0, savedAtMs: 0 }, updates: [], saves: new Map() };
      this.logs.set(ticker, log);
    }
    return log;
  }

  copy(): TablesCopy {
    const { series, logs, requests, notes } = this;
    return structuredClone({ series, logs, requests, notes });
  }

  putBack(copy: TablesCopy): void {
    replaceAll(this.series, copy.series);
    replaceAll(this.logs, copy.logs);
    replaceAll(this.requests, copy.requests);
    replaceAll(this.notes, copy.notes);
  }

  /** What the new name had is of a ticker that is gone. */
  renameNote(from: string, to: string): void {
    const text = this.notes.get(from);
    this.notes.delete(from);
    if (text === undefined) this.notes.delete(to);
    else this.notes.set(to, text);
  }

  /** @returns false: the note isn't what the change relies on. */
  changeNote({ name, from, to }: NoteChange): boolean {
    if ((this.notes.get(name) ?? null) !== from) return false;
    this.notes.set(name, to);
    return true;
  }

  /** Ascending by stamp, then by `seq`. @param bounds inclusive; absent: all. */
  sorted({ rows }: MemorySeries, { from, to }: StampBounds = { from: null, to: null }): MemoryRow[] {
    const some = [...rows.values()].filter(
      ({ row: [stamp] }) => (from === null || stamp >= from) && (to === null || stamp <= to),
    );
    return some.sort((a, b) => (a.row[0] === b.row[0] ? seqIn(a) - seqIn(b) : a.row[0] < b.row[0] ? -1 : 1));
  }
}

function replaceAll<K, V>(map: Map<K, V>, by: ReadonlyMap<K, V>): void {
  map.clear();
  for (const [key, value] of by) map.set(key, value);
}

/** Half of a surrogate pair can't be stored as UTF-8, which all engines store. */
export function seriesKey(kind: KindName, ticker: string, part: string | null): string {
  return JSON.stringify([kind, ticker.toWellFormed(), part?.toWellFormed()]);
}

function seqIn({ row }: MemoryRow): number {
  return Number(row.at(-1));
}
