/** Columns of a save on their way to the hub: what JSON tells of them, and the bytes behind it. */
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";

/** The bytes of its values come first, then those of its nulls. */
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

export function sentColumns({ rows, columns }: ColumnBatch): { told: SentColumn[]; bytes: Uint8Array[] } {
  const bytes: Uint8Array[] = [];
  const told = [...columns].map(([name, data]): SentColumn => {
    const { buffer, byteOffset, byteLength } = data.type === "text" ? data.codes : data.values;
    bytes.push(new Uint8Array(buffer, byteOffset, byteLength));
    if (data.nulls !== null) bytes.push(data.nulls);
    const shared = { name, type: data.type, rows, hasNulls: data.nulls !== null };
    return data.type === "text" ? { ...shared, dictionary: data.dictionary } : shared;
  });
  return { told, bytes };
}

/**
 * @param attachment its bytes are copied: the buffer is used again.
 * @param start where the first column's begin.
 * @returns the columns, and where the next ones begin. @throws RangeError they aren't all there.
 */
export function receivedColumns(
  told: readonly SentColumn[],
  attachment: Uint8Array,
  start: number,
): { columns: ColumnBatch; end: number } {
  let at = start;
  const take = (length: number): ArrayBuffer => {
    if (at + length > attachment.length) throw new RangeError("columns of a save end too early");
    const bytes = new Uint8Array(length);
    bytes.set(attachment.subarray(at, at + length));
    at += length;
    return bytes.buffer;
  };
  const columns = new Map<string, ColumnData>();
  for (const { name, type, rows, hasNulls, dictionary = [] } of told) {
    const values = new ARRAYS[type](take(rows * ARRAYS[type].BYTES_PER_ELEMENT));
    const nulls = hasNulls ? new Uint8Array(take(rows)) : null;
    const data = type === "text" ? { type, codes: values, dictionary, nulls } : { type, values, nulls };
    columns.set(name, data as ColumnData);
  }
  return { columns: { rows: told[0]?.rows ?? 0, columns }, end: at };
}
