/** Columns out of PostgreSQL's binary format, a column of many rows at once. */
import { type Cells, Counts, type Dates, Doubles, Instants, Seqs, Texts } from "../column-cells.ts";
import { TransferRowError } from "../contract.ts";
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

interface FoundCells {
  copied: CopiedRows;
  /** Which of their cells. */
  column: number;
  rows: number;
}

type ReadCell = (at: number, row: number, length: number) => void;

/** @param first row of the cells. @throws TransferRowError */
export function fillCells(cells: Cells, found: FoundCells, first: number): void {
  const read = readerFor(cells, found.copied);
  const { places, columns, view } = found.copied;
  const end = first + found.rows;
  for (let row = first, place = found.column; row < end; row++, place += columns) {
    const at = places[place]!;
    const length = view.getInt32(at);
    if (length === NULL_LENGTH) cells.setNull(row);
    else read(at + LENGTH_BYTES, row, length);
  }
}

function readerFor(cells: Cells, { view, bytes }: CopiedRows): ReadCell {
  if (cells instanceof Texts) return textReader(cells, bytes);
  if (cells instanceof Instants) return instantReader(cells, view);
  if (cells instanceof Counts) return (at, row) => readCount(cells, view, at, row);
  if (cells instanceof Seqs)
    return (at, row) => {
      const seq = view.getInt32(at) * TWO_32 + view.getUint32(at + 4);
      cells.setValue(row, Number.isSafeInteger(seq) ? seq : view.getBigInt64(at));
    };
  if (cells instanceof Doubles) {
    const { values } = cells;
    return (at, row) => {
      values[row] = view.getFloat64(at);
    };
  }
  const { values } = cells as Dates;
  return (at, row) => {
    values[row] = view.getInt32(at) + DAYS_TO_2000;
  };
}

function instantReader({ stamps, kind }: Instants, view: DataView): ReadCell {
  const inSeconds = kind.stamp.type === "second";
  return (at, row) => {
    const high = view.getInt32(at);
    const low = view.getUint32(at + 4);
    if (inSeconds && ((high % MICROS) * (TWO_32 % MICROS) + low) % MICROS !== 0)
      throw new TransferRowError(`${kind.label} have no fraction of a second, and a stored one has`);
    const since2000 = high * TWO_32 + low;
    const micros = since2000 + MICROS_TO_2000;
    if (Number.isSafeInteger(since2000) && Number.isSafeInteger(micros)) stamps.set(row, micros);
    else stamps.values[row] = view.getBigInt64(at) + BigInt(MICROS_TO_2000); // far from both
  };
}

/** Those of one series follow each other: a text is read once for all of them. */
function textReader(cells: Texts, bytes: Buffer): ReadCell {
  const { codes } = cells;
  let lastAt = 0;
  let lastLength = -1;
  let lastRow = 0;
  const isLast = (at: number, length: number): boolean => {
    if (length !== lastLength) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== bytes[lastAt + i]) return false;
    return true;
  };
  return (at, row, length) => {
    if (isLast(at, length)) {
      codes[row] = codes[lastRow]!;
      return;
    }
    cells.setValue(row, bytes.toString("utf8", at, at + length));
    [lastAt, lastLength, lastRow] = [at, length, row];
  };
}

function readCount(cells: Counts, view: DataView, at: number, row: number): void {
  const groups = view.getUint16(at);
  const weight = view.getInt16(at + 2);
  const sign = view.getUint16(at + 4);
  if (sign >= NOT_FINITE) {
    cells.setNull(row);
    return;
  }
  const first = at + NUMERIC_HEAD_BYTES;
  if (groups <= weight + 1) {
    let value = 0;
    for (let group = 0; group <= weight; group++)
      value = value * GROUP + (group < groups ? view.getUint16(first + 2 * group) : 0);
    if (Number.isSafeInteger(value)) {
      cells.values[row] = sign === NEGATIVE ? 0 - value : value;
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
  cells.setDigits(row, digits);
}
