/**
 * Columns on their way between worker and hub, of a save or of a read: what JSON tells of them, and
 * their arrays behind it. The widest values come first and nulls last, so that each array begins
 * where its type may.
 */
import type { ColumnArray, ColumnBatch, ColumnData } from "../storage/model/columns.ts";

export interface SentColumn {
  name: string;
  type: ColumnData["type"];
  rows: number;
  hasNulls: boolean;
  /** Of texts. */
  dictionary?: string[];
}

const ARRAYS = {
  double: Float64Array,
  int64: BigInt64Array,
  instant: BigInt64Array,
  date: Int32Array,
  text: Int32Array,
} as const satisfies Record<ColumnData["type"], unknown>;

const WIDTHS = [8, 4] as const;

export function sentColumns({ rows, columns }: ColumnBatch): { told: SentColumn[]; bytes: Uint8Array[] } {
  const told: SentColumn[] = [];
  const values: ColumnArray[] = [];
  const masks: Uint8Array[] = [];
  for (const [name, data] of columns) {
    values.push(data.type === "text" ? data.codes : data.values);
    if (data.nulls !== null) masks.push(data.nulls);
    const shared = { name, type: data.type, rows, hasNulls: data.nulls !== null };
    told.push(data.type === "text" ? { ...shared, dictionary: data.dictionary } : shared);
  }
  const ofWidth = (width: number): ColumnArray[] =>
    values.filter(({ BYTES_PER_ELEMENT }) => BYTES_PER_ELEMENT === width);
  const bytes = WIDTHS.flatMap(ofWidth).map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  );
  return { told, bytes: [...bytes, ...masks] };
}

/** Of their arrays. */
export function bytesOfColumns(told: readonly SentColumn[]): number {
  return told.reduce(
    (sum, { type, rows, hasNulls }) => sum + rows * (ARRAYS[type].BYTES_PER_ELEMENT + (hasNulls ? 1 : 0)),
    0,
  );
}

/**
 * @param bytes of their arrays, of which the columns become views: they are the caller's own, and
 *   begin where their buffer does. @throws RangeError they aren't all there.
 */
export function receivedColumns(told: readonly SentColumn[], bytes: Uint8Array<ArrayBuffer>): ColumnBatch {
  const { buffer, length } = bytes;
  if (length < bytesOfColumns(told)) throw new RangeError("columns end too early");
  let at = bytes.byteOffset;
  const placeOf = (size: number): number => {
    at += size;
    return at - size;
  };
  const values = new Map<SentColumn, ColumnArray>();
  for (const width of WIDTHS)
    for (const column of told) {
      const { type, rows } = column;
      if (ARRAYS[type].BYTES_PER_ELEMENT === width)
        values.set(column, new ARRAYS[type](buffer, placeOf(rows * width), rows));
    }
  const columns = new Map<string, ColumnData>();
  for (const column of told) {
    const { name, type, rows, hasNulls, dictionary = [] } = column;
    const cells = values.get(column)!;
    const nulls = hasNulls ? new Uint8Array(buffer, placeOf(rows), rows) : null;
    const data = type === "text" ? { type, codes: cells, dictionary, nulls } : { type, values: cells, nulls };
    columns.set(name, data as ColumnData);
  }
  return { rows: told[0]?.rows ?? 0, columns };
}
