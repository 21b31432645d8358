/** Columns that are filled cell by cell, with values as a database or an answer gives them. */
import { countData, Dictionary, daysOf, Int64s, StampReader } from "./column-values.ts";
import { TransferRowError } from "./contract.ts";
import type { ColumnBatch, ColumnData } from "./model/columns.ts";
import type { ColumnType, RowKind, SeriesValue } from "./model/kinds.ts";
import { countOf, seqOf, storedStamp } from "./transfer-rows.ts";

const NO_FRACTION = ".000000";
const SECOND_LENGTH = "2024-01-02 10:00:00".length;

/** The type of a column of the kind; a part is text. */
export function typeOfColumn({ stamp, values }: RowKind, column: string): ColumnType | "seq" {
  if (column === "seq") return "seq";
  if (column === stamp.name) return stamp.type;
  return values.find(({ name }) => name === column)?.type ?? "text";
}

export abstract class Cells {
  readonly kind: RowKind;
  protected readonly rows: number;
  #nulls: Uint8Array | null = null;

  constructor(kind: RowKind, rows: number) {
    this.kind = kind;
    this.rows = rows;
  }

  /** @throws TransferRowError */
  set(row: number, value: SeriesValue): void {
    if (value === null) this.setNull(row);
    else {
      if (this.#nulls !== null) this.#nulls[row] = 0;
      this.setValue(row, value);
    }
  }

  /** The same value in many rows. @param end exclusive. */
  fill(value: SeriesValue, start: number, end: number): void {
    for (let row = start; row < end; row++) this.set(row, value);
  }

  setNull(row: number): void {
    this.#nulls ??= new Uint8Array(this.rows);
    this.#nulls[row] = 1;
  }

  /** @param rows fewer than there is room for, at the end of a walk. */
  abstract data(rows: number): ColumnData;

  protected abstract setValue(row: number, value: string | number): void;

  protected nulls(rows: number): Uint8Array | null {
    return this.#nulls === null ? null : cut(this.#nulls, rows);
  }
}

export class Doubles extends Cells {
  readonly values = new Float64Array(this.rows);

  protected setValue(row: number, value: string | number): void {
    this.values[row] = Number(value);
  }

  data(rows: number): ColumnData {
    return { type: "double", values: cut(this.values, rows), nulls: this.nulls(rows) };
  }
}

export class Dates extends Cells {
  readonly values = new Int32Array(this.rows);

  protected setValue(row: number, value: string | number): void {
    const days = daysOf(String(value));
    if (days === null) throw new TransferRowError(`a day of ${this.kind.label} is ${JSON.stringify(value)}`);
    this.values[row] = days;
  }

  data(rows: number): ColumnData {
    return { type: "date", values: cut(this.values, rows), nulls: this.nulls(rows) };
  }
}

export class Instants extends Cells {
  readonly stamps = new Int64s(this.rows);
  readonly #reader = new StampReader();

  protected setValue(row: number, value: string | number): void {
    const { kind } = this;
    const text = String(value);
    const isSecond = text.length === SECOND_LENGTH;
    const stamp = storedStamp(isSecond ? `${text}${NO_FRACTION}` : text, kind, kind.label);
    if (!this.#reader.read(stamp, this.stamps, row))
      throw new TransferRowError(`a stamp of ${kind.label} is ${JSON.stringify(value)}`);
  }

  data(rows: number): ColumnData {
    return { type: "instant", values: cut(this.stamps.values, rows), nulls: this.nulls(rows) };
  }
}

export class Seqs extends Cells {
  readonly seqs = new Int64s(this.rows);

  setValue(row: number, value: string | number | bigint): void {
    this.seqs.set(row, seqOf(value, this.kind.label));
  }

  data(rows: number): ColumnData {
    return { type: "int64", values: cut(this.seqs.values, rows), nulls: this.nulls(rows) };
  }
}

export class Texts extends Cells {
  readonly #texts = new Dictionary(this.rows);

  override fill(value: string, start: number, end: number): void {
    this.#texts.fill(value, start, end);
  }

  get codes(): Int32Array {
    return this.#texts.data.codes;
  }

  setValue(row: number, value: string | number): void {
    this.#texts.set(row, String(value));
  }

  data(rows: number): ColumnData {
    const { codes, ...rest } = this.#texts.data;
    return { ...rest, codes: cut(codes, rows), nulls: this.nulls(rows) };
  }
}

/** Whatever number others may have written, with all its digits. */
export class Counts extends Cells {
  readonly values = new Float64Array(this.rows);
  readonly #wide = new Map<number, bigint>();
  /** Digits of fractions that no double is. */
  readonly #others = new Map<number, string>();

  protected setValue(row: number, value: string | number): void {
    if (typeof value === "string") this.setDigits(row, value);
    else this.values[row] = value;
  }

  /** @throws TransferRowError */
  setDigits(row: number, stored: string): void {
    if (countOf(stored, this.kind.label) === null) {
      this.setNull(row);
      return;
    }
    const digits = plainDigits(stored);
    const number = Number(digits);
    if (!digits.includes(".")) {
      if (Number.isSafeInteger(number)) this.values[row] = number;
      else this.#wide.set(row, BigInt(digits));
    } else if (decimalDigits(number) === digits) this.values[row] = number;
    else this.#others.set(row, digits);
  }

  data(rows: number): ColumnData {
    const nulls = this.nulls(rows);
    const values = cut(this.values, rows);
    if (this.#others.size === 0) return countData(values, this.#wide, nulls);
    const texts = new Dictionary(rows);
    for (const [row, value] of values.entries())
      texts.set(row, this.#others.get(row) ?? String(this.#wide.get(row) ?? decimalDigits(value)));
    return { ...texts.data, nulls };
  }
}

const CELLS = {
  text: Texts,
  json: Texts,
  double: Doubles,
  count: Counts,
  date: Dates,
  second: Instants,
  instant: Instants,
  seq: Seqs,
} as const satisfies Record<ColumnType | "seq", new (kind: RowKind, rows: number) => Cells>;

/** The columns of a batch, while rows come. */
export class BatchCells {
  readonly #names: readonly string[];
  readonly #rowsMax: number;
  readonly #make: () => Cells[];
  columns: Cells[];
  rows = 0;

  constructor(kind: RowKind, names: readonly string[], rowsMax: number) {
    this.#names = names;
    this.#rowsMax = rowsMax;
    this.#make = () => names.map((name) => new CELLS[typeOfColumn(kind, name)](kind, rowsMax));
    this.columns = this.#make();
  }

  get room(): number {
    return this.#rowsMax - this.rows;
  }

  /** @throws TransferRowError */
  add(row: SeriesValue[]): void {
    for (const [index, cells] of this.columns.entries()) cells.set(this.rows, row[index]!);
    this.rows++;
  }

  /** What it has; it is empty then. */
  end(): ColumnBatch {
    const { rows } = this;
    const columns = new Map(this.columns.map((cells, index) => [this.#names[index]!, cells.data(rows)]));
    this.columns = this.#make();
    this.rows = 0;
    return { rows, columns };
  }
}

/** Without zeros that mean nothing. */
function plainDigits(digits: string): string {
  const [, sign, whole, fraction] = /^(-?)0*(\d+?)(?:\.(\d*?)0*)?$/.exec(digits)!;
  return `${sign}${whole}${fraction ? `.${fraction}` : ""}`;
}

/** As a numeric writes the number that a save has sent: without an exponent. */
function decimalDigits(number: number): string {
  if (Number.isInteger(number)) return String(BigInt(number));
  const [mantissa, exponent] = String(number).split("e-");
  if (exponent === undefined) return mantissa!;
  const [, sign, digits, fraction = ""] = /^(-?)(\d)(?:\.(\d+))?$/.exec(mantissa!)!;
  return `${sign}0.${"0".repeat(Number(exponent) - 1)}${digits}${fraction}`;
}

function cut<A extends { length: number; slice(start: number, end: number): A }>(values: A, rows: number): A {
  return rows === values.length ? values : values.slice(0, rows);
}
