/**
 * Columns that are filled from PostgreSQL's cells: from many rows of its binary format at once, or
 * from one cell as a client library gives it.
 */
import { countData, Dictionary, daysOf, Int64s, StampReader } from "../column-values.ts";
import { TransferRowError } from "../contract.ts";
import type { ColumnData } from "../model/columns.ts";
import type { ColumnType, RowKind } from "../model/kinds.ts";
import { countOf, seqOf, storedStamp } from "../transfer-rows.ts";
import type { CopiedRows } from "./copied-rows.ts";

/** PostgreSQL counts from the year 2000. */
const DAYS_TO_2000 = 10_957;
const MICROS_TO_2000 = 946_684_800_000_000;
const TWO_32 = 2 ** 32;
const MICROS = 1_000_000;
/** Of a cell: the length before it. */
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;
/** Of a numeric: four numbers of 16 bits, then groups of four decimal digits. */
const NUMERIC_HEAD_BYTES = 8;
const GROUP = 10_000;
const GROUP_DIGITS = 4;
const NEGATIVE = 0x4000;
const NOT_FINITE = 0xc000;

export type Cell = string | number | null;

export abstract class Cells {
  protected readonly rows: number;
  #nulls: Uint8Array | null = null;

  constructor(rows: number) {
    this.rows = rows;
  }

  /** The found rows' cells of a column. @param row the first of ours. @throws TransferRowError */
  fill(copied: CopiedRows, column: number, found: number, row: number): void {
    const { places, columns, view, bytes } = copied;
    for (let place = column, end = row + found; row < end; row++, place += columns) {
      const at = places[place]!;
      const length = view.getInt32(at);
      if (length === NULL_LENGTH) this.setNull(row);
      else this.read(view, at + LENGTH_BYTES, length, row, bytes);
    }
  }

  /** @throws TransferRowError */
  set(row: number, cell: Cell): void {
    if (cell === null) this.setNull(row);
    else this.setText(row, String(cell));
  }

  /** @param rows fewer than there is room for, at the end of a walk. */
  abstract data(rows: number): ColumnData;

  protected abstract read(view: DataView, at: number, length: number, row: number, bytes: Buffer): void;
  protected abstract setText(row: number, text: string): void;

  protected setNull(row: number): void {
    this.#nulls ??= new Uint8Array(this.rows);
    this.#nulls[row] = 1;
  }

  protected nulls(rows: number): Uint8Array | null {
    return this.#nulls === null ? null : cut(this.#nulls, rows);
  }
}

/** @param type of a column of the kind, or `seq`. */
export function cellsOf(type: ColumnType | "seq", kind: RowKind, rows: number): Cells {
  switch (type) {
    case "text":
    case "json":
      return new Texts(rows);
    case "double":
      return new Doubles(rows);
    case "count":
      return new Counts(rows, kind);
    case "date":
      return new Dates(rows);
    case "second":
    case "instant":
      return new Instants(rows, kind);
    case "seq":
      return new Seqs(rows, kind);
  }
}

class Doubles extends Cells {
  readonly #values = new Float64Array(this.rows);

  protected read(view: DataView, at: number, _length: number, row: number): void {
    this.#values[row] = view.getFloat64(at);
  }

  protected setText(row: number, text: string): void {
    this.#values[row] = Number(text);
  }

  data(rows: number): ColumnData {
    return { type: "double", values: cut(this.#values, rows), nulls: this.nulls(rows) };
  }
}

class Dates extends Cells {
  readonly #values = new Int32Array(this.rows);

  protected read(view: DataView, at: number, _length: number, row: number): void {
    this.#values[row] = view.getInt32(at) + DAYS_TO_2000;
  }

  protected setText(row: number, text: string): void {
    const days = daysOf(text);
    if (days === null) throw new TransferRowError(`a day is ${JSON.stringify(text)}`);
    this.#values[row] = days;
  }

  data(rows: number): ColumnData {
    return { type: "date", values: cut(this.#values, rows), nulls: this.nulls(rows) };
  }
}

class Instants extends Cells {
  readonly #kind: RowKind;
  readonly #inSeconds: boolean;
  readonly #values = new Int64s(this.rows);
  readonly #reader = new StampReader();

  constructor(rows: number, kind: RowKind) {
    super(rows);
    this.#kind = kind;
    this.#inSeconds = kind.stamp.type === "second";
  }

  protected read(view: DataView, at: number, _length: number, row: number): void {
    const high = view.getInt32(at);
    const low = view.getUint32(at + 4);
    if (this.#inSeconds && ((high % MICROS) * (TWO_32 % MICROS) + low) % MICROS !== 0)
      throw new TransferRowError(`${this.#kind.label} have no fraction of a second, and a stored one has`);
    const micros = high * TWO_32 + low + MICROS_TO_2000;
    if (Number.isSafeInteger(micros)) this.#values.set(row, micros);
    else this.#values.values[row] = view.getBigInt64(at) + BigInt(MICROS_TO_2000); // from 2255 on
  }

  protected setText(row: number, text: string): void {
    const { label } = this.#kind;
    if (!this.#reader.read(storedStamp(text, this.#kind, label), this.#values, row))
      throw new TransferRowError(`a stamp of ${label} is ${JSON.stringify(text)}`);
  }

  data(rows: number): ColumnData {
    return { type: "instant", values: cut(this.#values.values, rows), nulls: this.nulls(rows) };
  }
}

class Seqs extends Cells {
  readonly #label: string;
  readonly #values = new Int64s(this.rows);

  constructor(rows: number, { label }: RowKind) {
    super(rows);
    this.#label = label;
  }

  protected read(view: DataView, at: number, _length: number, row: number): void {
    const seq = view.getInt32(at) * TWO_32 + view.getUint32(at + 4);
    this.#values.set(row, Number.isSafeInteger(seq) ? seq : seqOf(view.getBigInt64(at), this.#label));
  }

  protected setText(row: number, text: string): void {
    this.#values.set(row, seqOf(text, this.#label));
  }

  data(rows: number): ColumnData {
    return { type: "int64", values: cut(this.#values.values, rows), nulls: this.nulls(rows) };
  }
}

/** Those of one series follow each other: a text is read once for all of them. */
class Texts extends Cells {
  readonly #texts = new Dictionary(this.rows);
  #last: Buffer | null = null;
  #lastRow = 0;

  protected read(_view: DataView, at: number, length: number, row: number, bytes: Buffer): void {
    if (this.#isLast(bytes, at, length)) {
      const { codes } = this.#texts.data;
      codes[row] = codes[this.#lastRow]!;
      return;
    }
    this.#last = Buffer.from(bytes.subarray(at, at + length));
    this.#lastRow = row;
    this.#texts.set(row, this.#last.toString());
  }

  #isLast(bytes: Buffer, at: number, length: number): boolean {
    const last = this.#last;
    if (last === null || length !== last.length) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== last[i]) return false;
    return true;
  }

  protected setText(row: number, text: string): void {
    this.#texts.set(row, text);
  }

  data(rows: number): ColumnData {
    const { codes, ...rest } = this.#texts.data;
    return { ...rest, codes: cut(codes, rows), nulls: this.nulls(rows) };
  }
}

/** A numeric holds whatever number others may have written, with all its digits. */
class Counts extends Cells {
  readonly #label: string;
  readonly #values = new Float64Array(this.rows);
  readonly #wide = new Map<number, bigint>();
  /** Digits of fractions that no double is. */
  readonly #others = new Map<number, string>();

  constructor(rows: number, { label }: RowKind) {
    super(rows);
    this.#label = label;
  }

  protected read(view: DataView, at: number, _length: number, row: number): void {
    const groups = view.getUint16(at);
    const weight = view.getInt16(at + 2);
    const sign = view.getUint16(at + 4);
    if (sign >= NOT_FINITE) {
      this.setNull(row);
      return;
    }
    const first = at + NUMERIC_HEAD_BYTES;
    if (groups <= weight + 1) {
      let value = 0;
      for (let group = 0; group <= weight; group++)
        value = value * GROUP + (group < groups ? view.getUint16(first + 2 * group) : 0);
      if (Number.isSafeInteger(value)) {
        this.#values[row] = sign === NEGATIVE ? 0 - value : value;
        return;
      }
    }
    let digits = sign === NEGATIVE ? "-" : "";
    if (weight < 0) digits += "0";
    for (let group = Math.min(0, weight + 1); group < Math.max(groups, weight + 1); group++) {
      if (group === weight + 1) digits += ".";
      const value = group >= 0 && group < groups ? view.getUint16(first + 2 * group) : 0;
      digits += String(value).padStart(GROUP_DIGITS, "0");
    }
    this.#setDigits(row, digits);
  }

  protected setText(row: number, text: string): void {
    if (countOf(text, this.#label) === null) this.setNull(row);
    else this.#setDigits(row, text);
  }

  #setDigits(row: number, stored: string): void {
    const digits = plainDigits(stored);
    const number = Number(digits);
    if (!digits.includes(".")) {
      if (Number.isSafeInteger(number)) this.#values[row] = number;
      else this.#wide.set(row, BigInt(digits));
    } else if (decimalDigits(number) === digits) this.#values[row] = number;
    else this.#others.set(row, digits);
  }

  data(rows: number): ColumnData {
    const nulls = this.nulls(rows);
    if (this.#others.size === 0) return countData(cut(this.#values, rows), this.#wide, nulls);
    const texts = new Dictionary(rows);
    for (let row = 0; row < rows; row++)
      texts.set(
        row,
        this.#others.get(row) ?? String(this.#wide.get(row) ?? decimalDigits(this.#values[row]!)),
      );
    return { ...texts.data, nulls };
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
