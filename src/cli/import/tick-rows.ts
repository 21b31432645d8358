/**
 * The rows of a request as they come. Ticks that are plain, a stamp with numbers, are kept as
 * columns: an object for each would cost the importer more time than the rest of its work.
 */
import type { CsvRecord } from "../../market/csv.ts";
import { countData, Int64s, StampReader } from "../../storage/column-values.ts";
import type { ColumnBatch, ColumnData } from "../../storage/model/columns.ts";
import { Int64Reader, StampTexts } from "../../storage/model/stamp-text.ts";
import { type PlainTicks, TICK_VALUES } from "./plain-ticks.ts";

const COUNTS: ReadonlySet<string> = new Set(["size", "ask_size"]);
/** Fewer rows aren't worth columns. */
export const COLUMN_ROWS_MIN = 2_000;
/** Then twice as many, and so on: there may be a request for each of thousands of tickers. */
const FIRST_ROWS = 64;

interface TickColumn {
  name: string;
  values: Float64Array;
  /** 1 where the row has no value. */
  nulls: Uint8Array;
  hasNulls: boolean;
}

class TickColumns {
  readonly names: readonly string[];
  readonly #reader = new StampReader();
  #stamps = new Int64s(FIRST_ROWS);
  #columns: TickColumn[];
  #capacity = FIRST_ROWS;
  rows = 0;

  constructor(names: readonly string[]) {
    this.names = names;
    this.#columns = this.names.map((name) => ({
      name,
      values: new Float64Array(FIRST_ROWS),
      nulls: new Uint8Array(FIRST_ROWS),
      hasNulls: false,
    }));
  }

  /** @returns false: the record isn't plain. */
  push(record: CsvRecord): boolean {
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    let members = 0;
    for (const _ in record) members++;
    const { timestamp } = record;
    if (members !== this.names.length + 1 || typeof timestamp !== "string") return false;
    if (!this.#reader.read(timestamp, this.#stamps, row)) return false;
    for (const column of this.#columns) {
      const value = record[column.name];
      if (typeof value === "number") column.values[row] = value;
      else if (value === null) {
        column.nulls[row] = 1;
        column.hasNulls = true;
      } else return false;
    }
    this.rows++;
    return true;
  }

  /** @param ticks of the same columns. */
  pushPlain({ micros, values }: PlainTicks, index: number): void {
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    this.#stamps.set(row, micros[index]!);
    const columns = this.#columns;
    for (let i = 0; i < columns.length; i++) columns[i]!.values[row] = values[i]![index]!;
    this.rows++;
  }

  /** Takes the last row away. */
  pop(): void {
    this.rows--;
    for (const { nulls } of this.#columns) nulls[this.rows] = 0;
  }

  /** Whether the last row has as many equal ones among these rows as came before it at all. */
  isCountedAlone(place: number | null): boolean {
    return place === 0 || place === this.#equalBefore(this.rows - 1);
  }

  /** Its arrays are those of this object: nothing may be added afterwards. */
  batch(): ColumnBatch {
    const { rows } = this;
    const stamps = this.#stamps.values.subarray(0, rows);
    const columns = new Map<string, ColumnData>([
      ["timestamp", { type: "instant", values: stamps, nulls: null }],
    ]);
    for (const { name, values, nulls, hasNulls } of this.#columns) {
      const of = values.subarray(0, rows);
      const missing = hasNulls ? nulls.subarray(0, rows) : null;
      const data: ColumnData = COUNTS.has(name)
        ? countData(of, new Map(), missing)
        : { type: "double", values: of, nulls: missing };
      columns.set(name, data);
    }
    return { rows, columns };
  }

  records(): CsvRecord[] {
    const texts = new StampTexts(this.#stamps.values, true);
    return Array.from({ length: this.rows }, (_, row) => {
      const record: CsvRecord = { timestamp: texts.at(row) };
      for (const { name, values, nulls } of this.#columns)
        record[name] = nulls[row] === 1 ? null : values[row]!;
      return record;
    });
  }

  /** Among those of the stamp that come right before it. */
  #equalBefore(row: number): number {
    const stamps = new Int64Reader(this.#stamps.values);
    const stamp = stamps.at(row);
    let count = 0;
    for (let other = row - 1; other >= 0 && stamps.at(other) === stamp; other--)
      if (this.#columns.every(({ values, nulls }) => isSame(values, nulls, other, row))) count++;
    return count;
  }

  #grow(): void {
    this.#capacity *= 2;
    const stamps = new Int64s(this.#capacity);
    stamps.values.set(this.#stamps.values);
    this.#stamps = stamps;
    this.#columns = this.#columns.map((column) => {
      const values = new Float64Array(this.#capacity);
      const nulls = new Uint8Array(this.#capacity);
      values.set(column.values);
      nulls.set(column.nulls);
      return { ...column, values, nulls };
    });
  }
}

function isSame(values: Float64Array, nulls: Uint8Array, a: number, b: number): boolean {
  return nulls[a] === nulls[b] && (nulls[a] === 1 || values[a] === values[b]);
}

export class RequestRows {
  readonly #areTicks: boolean;
  readonly #partMax: { rows: number; bytes: number };
  /** Full ones, and then the one that is filled. */
  #parts: TickColumns[] = [];
  #rowsOfFull = 0;
  #records: CsvRecord[] | null = null;
  /** Whether each row's count of equal ticks is the one that the rows of its part alone give. */
  #areCountedAlone = true;

  /** @param partMax The most that a part of columns has. */
  constructor(areTicks: boolean, partMax: { rows: number; bytes: number }) {
    this.#areTicks = areTicks;
    this.#partMax = partMax;
  }

  get length(): number {
    return this.#records?.length ?? this.#rowsOfFull + (this.#parts.at(-1)?.rows ?? 0);
  }

  /** Whether the rows can go as columns. */
  get areColumns(): boolean {
    return this.#parts.length > 0 && this.#areCountedAlone;
  }

  /**
   * @param place of a tick, as `ImportBatch.places`.
   * @param asRecords whether all rows may go as records.
   * @returns false: they would have to, and the row isn't added.
   */
  push(record: CsvRecord, place: number | null, asRecords: boolean): boolean {
    if (this.#records === null && this.#areTicks) {
      const names = this.#parts[0]?.names ?? TICK_VALUES.filter((name) => name in record);
      const part = this.#partFor(names);
      if (part.push(record)) return this.#isCounted(part, place, asRecords);
      if (!asRecords) return false;
    }
    this.#toRecords().push(record);
    return true;
  }

  /** As `push`. */
  pushPlain(ticks: PlainTicks, index: number, place: number | null, asRecords: boolean): boolean {
    const names = this.#parts[0]?.names ?? ticks.names;
    if (this.#records === null && isSameList(names, ticks.names)) {
      const part = this.#partFor(names);
      part.pushPlain(ticks, index);
      return this.#isCounted(part, place, asRecords);
    }
    if (this.#records === null && !asRecords) return false;
    const one = new TickColumns(ticks.names);
    one.pushPlain(ticks, index);
    this.#toRecords().push(...one.records());
    return true;
  }

  records(): CsvRecord[] {
    return this.#records ?? this.#parts.flatMap((part) => part.records());
  }

  /** Null: they aren't plain, or equal ticks of other parts or requests count. */
  columns(): ColumnBatch[] | null {
    if (!this.areColumns) return null;
    return this.#parts.filter(({ rows }) => rows > 0).map((part) => part.batch());
  }

  #partFor(names: readonly string[]): TickColumns {
    const last = this.#parts.at(-1);
    const { rows, bytes } = this.#partMax;
    const rowBytes = (names.length + 1) * Float64Array.BYTES_PER_ELEMENT;
    if (last !== undefined && last.rows < Math.min(rows, bytes / rowBytes)) return last;
    this.#rowsOfFull += last?.rows ?? 0;
    const part = new TickColumns(names);
    this.#parts.push(part);
    return part;
  }

  #toRecords(): CsvRecord[] {
    this.#records ??= this.#parts.flatMap((part) => part.records());
    this.#parts = [];
    return this.#records;
  }

  /** Whether the row that was added last may stay. */
  #isCounted(part: TickColumns, place: number | null, asRecords: boolean): boolean {
    if (!this.#areCountedAlone || part.isCountedAlone(place)) return true;
    if (asRecords) this.#areCountedAlone = false;
    else part.pop();
    return asRecords;
  }
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, index) => name === b[index]));
}
