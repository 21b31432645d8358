/**
 * Writes cells of a result as JSON, straight from DuckDB's vectors. Lists and long texts come piece
 * by piece, so a cell of hundreds of megabytes neither blocks the process nor fills its memory.
 */
import {
  DuckDBArrayVector,
  DuckDBBigNumVector,
  DuckDBBitVector,
  DuckDBBlobVector,
  DuckDBDecimalValue,
  DuckDBGeometryVector,
  DuckDBListVector,
  DuckDBMapVector,
  DuckDBStructVector,
  DuckDBUnionVector,
  type DuckDBValue,
  DuckDBVarCharVector,
  DuckDBVariantVector,
  type DuckDBVector,
} from "@duckdb/node-api";
import { badRequest } from "../../protocol/errors.ts";
import { type AnswerRows, membersOf } from "../sql-answer.ts";
import { escapedBytes } from "./escaped-bytes.ts";

/** Longer texts and BLOBs are written in blocks. Base64 of 3 n bytes can be joined. */
const BLOCK_BYTES = 3 * 64 * 1024;
/** Items of a list between two possible pauses. */
const ITEMS_PER_TURN = 64;
/** Bounds values whose text is made whole: BIT, BIGNUM, GEOMETRY, VARIANT. */
const ODD_VALUE_BYTES_MAX = 64 * 1024;

/** Writes one cell, or returns a generator for a large one, which yields for the event loop. */
export type Cells = (index: number, out: AnswerRows) => Generator<void> | null;

const INT64_END = 2 ** 63;

/**
 * Integers and decimals keep all digits, BLOBs become base64, infinite numbers null. Types without
 * a form in JSON become DuckDB's own text.
 */
export function cellsOf(vector: DuckDBVector): Cells {
  if (vector instanceof DuckDBVarCharVector) return texts(vector);
  if (vector instanceof DuckDBBlobVector) return blobs(vector);
  if (vector instanceof DuckDBListVector) return lists(vector);
  if (vector instanceof DuckDBArrayVector) return arrays(vector);
  if (vector instanceof DuckDBStructVector) return structs(vector);
  if (vector instanceof DuckDBMapVector) return maps(vector);
  if (vector instanceof DuckDBUnionVector) return unions(vector);
  if (vector instanceof DuckDBVariantVector) return variants(vector);
  if (
    vector instanceof DuckDBBitVector ||
    vector instanceof DuckDBBigNumVector ||
    vector instanceof DuckDBGeometryVector
  ) {
    const view = inside<DataView>(vector, "dataView");
    return bounded(vector, (index) => byteLength(view, index) > ODD_VALUE_BYTES_MAX);
  }
  return plain(vector);
}

function plain(vector: DuckDBVector): Cells {
  return (index, out) => {
    out.add(encodeScalar(vector.getItem(index)));
    return null;
  };
}

/**
 * DuckDB's own text, which is made whole.
 *
 * @throws RequestError 400 a value is too large for that.
 */
function bounded(
  vector: DuckDBVector,
  isTooLarge: (index: number) => boolean,
  validity = validityOf(vector),
): Cells {
  const cells = plain(vector);
  return (index, out) => {
    if (!validity.itemValid(index) || !isTooLarge(index)) return cells(index, out);
    throw badRequest(`execute_sql: a value of type ${vector.type} can't be answered as it is`, {
      hint: "Cast it to VARCHAR or JSON.",
    });
  };
}

function nullable(validity: Validity, cells: Cells): Cells {
  return (index, out) => {
    if (validity.itemValid(index)) return cells(index, out);
    out.add("null");
    return null;
  };
}

export function encodeScalar(value: DuckDBValue): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof DuckDBDecimalValue) return trimmed(value.toString());
  return JSON.stringify(String(value));
}

/** Whole numbers keep all digits, so a volume prints the same in a column of any type. */
function encodeNumber(value: number): string {
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < INT64_END)
    return String(BigInt(value));
  return Number.isFinite(value) ? String(value) : "null";
}

function texts(vector: DuckDBVarCharVector): Cells {
  const decoder = new TextDecoder();
  return strings(vector, {
    // `getItem` would keep each text for as long as the vector lives.
    bytesAt: bytesIn(vector),
    whole: (bytes) => JSON.stringify(decoder.decode(bytes)),
    addBlock: (bytes, out) => out.addBytes(escapedBytes(bytes)),
  });
}

function blobs(vector: DuckDBBlobVector): Cells {
  return strings(vector, {
    bytesAt: (index) => vector.getItemBytes(index),
    whole: (bytes) => `"${bytes.toBase64()}"`,
    addBlock: (bytes, out) => out.add(bytes.toBase64()),
  });
}

interface StringForm {
  bytesAt(index: number): Uint8Array | null;
  whole(bytes: Uint8Array): string;
  addBlock(bytes: Uint8Array, out: AnswerRows): void;
}

function strings(vector: DuckDBVector, { bytesAt, whole, addBlock }: StringForm): Cells {
  const view = inside<DataView>(vector, "dataView");
  return nullable(validityOf(vector), (index, out) => {
    const length = byteLength(view, index);
    if (length > BLOCK_BYTES) {
      out.expect(length);
      return longString(bytesAt(index)!, out, addBlock);
    }
    out.add(whole(bytesAt(index)!));
    return null;
  });
}

function* longString(bytes: Uint8Array, out: AnswerRows, addBlock: StringForm["addBlock"]): Generator<void> {
  out.add('"');
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    addBlock(bytes.subarray(at, at + BLOCK_BYTES), out);
    yield;
  }
  out.add('"');
}

function lists(vector: DuckDBListVector): Cells {
  const items = cellsOf(vector.childVector);
  return nullable(validityOf(vector), (index, out) => {
    const [from, length] = [vector.getEntryOffset(index), vector.getEntryLength(index)];
    return list(items, { from, length }, out);
  });
}

function arrays(vector: DuckDBArrayVector): Cells {
  const items = cellsOf(inside<DuckDBVector>(vector, "childData"));
  const { length } = vector.type;
  return nullable(validityOf(vector), (index, out) => list(items, { from: index * length, length }, out));
}

function* list(
  items: Cells,
  { from, length }: { from: number; length: number },
  out: AnswerRows,
): Generator<void> {
  out.expect(2 * length); // an item has a character, and a comma
  out.add("[");
  for (let i = 0; i < length; i++) {
    if (i > 0) out.add(",");
    const rest = items(from + i, out);
    if (rest !== null) yield* rest;
    if (i % ITEMS_PER_TURN === 0) yield;
  }
  out.add("]");
}

function structs(vector: DuckDBStructVector): Cells {
  const members = membersOf(vector.type.entryNames).map(({ index, prefix }) => ({
    prefix,
    cells: cellsOf(vector.entryVectorAt(index)),
  }));
  return nullable(validityOf(vector), function* (index, out) {
    out.add("{");
    for (const { prefix, cells } of members) {
      out.add(prefix);
      const rest = cells(index, out);
      if (rest !== null) yield* rest;
    }
    out.add("}");
  });
}

function maps(vector: DuckDBMapVector): Cells {
  const entries = inside<DuckDBListVector>(vector, "listVector");
  const validity = validityOf(entries);
  const pairs = entries.childVector as DuckDBStructVector;
  const keys = pairs.entryVectorAt(0);
  if (isNested(keys)) return bounded(vector, () => true, validity);
  const values = cellsOf(pairs.entryVectorAt(1));
  return nullable(validity, function* (index, out) {
    const from = entries.getEntryOffset(index);
    const length = entries.getEntryLength(index);
    out.expect(5 * length); // "":0,
    out.add("{");
    for (let i = 0; i < length; i++) {
      out.add(`${i === 0 ? "" : ","}${JSON.stringify(String(keys.getItem(from + i)))}:`);
      const rest = values(from + i, out);
      if (rest !== null) yield* rest;
      if (i % ITEMS_PER_TURN === 0) yield;
    }
    out.add("}");
  });
}

function unions(vector: DuckDBUnionVector): Cells {
  const members = inside<DuckDBStructVector>(vector, "structVector");
  const { memberTypes } = vector.type;
  const nested = memberTypes.some((_, member) => isNested(members.entryVectorAt(member + 1)));
  return nested ? bounded(vector, () => true, validityOf(members)) : plain(vector);
}

function variants(vector: DuckDBVariantVector): Cells {
  const nodes = inside<DuckDBListVector>(vector, "valuesList");
  const view = inside<DataView>(inside<DuckDBBlobVector>(vector, "dataBlob"), "dataView");
  const validity = validityOf(inside<DuckDBStructVector>(vector, "structVec"));
  const isTooLarge = (index: number) =>
    nodes.getEntryLength(index) > ODD_VALUE_BYTES_MAX / 16 || byteLength(view, index) > ODD_VALUE_BYTES_MAX;
  return bounded(vector, isTooLarge, validity);
}

function isNested(vector: DuckDBVector): boolean {
  return [
    DuckDBListVector,
    DuckDBArrayVector,
    DuckDBStructVector,
    DuckDBMapVector,
    DuckDBUnionVector,
    DuckDBVariantVector,
  ].some((kind) => vector instanceof kind);
}

function trimmed(decimal: string): string {
  return decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal;
}

interface Validity {
  itemValid(index: number): boolean;
}

/** Reads texts through a vector of BLOBs: DuckDB stores both in the same way. */
function bytesIn(vector: DuckDBVarCharVector): StringForm["bytesAt"] {
  const bytes: DuckDBBlobVector = Reflect.construct(DuckDBBlobVector, [
    inside(vector, "dataView"),
    validityOf(vector),
    inside(vector, "vector"),
    0,
    vector.itemCount,
  ]);
  return (index) => bytes.getItemBytes(index);
}

/** The length of a text or BLOB. Meaningless for NULL. */
function byteLength(view: DataView, index: number): number {
  return view.getUint32(index * 16, true);
}

function validityOf(vector: DuckDBVector): Validity {
  return inside<Validity>(vector, "validity");
}

/** Reads private fields of @duckdb/node-api's vectors, whose public methods build whole values. */
export function inside<T>(vector: DuckDBVector, field: string): T {
  const value: unknown = Reflect.get(vector, field);
  if (typeof value !== "object" || value === null)
    throw new Error(`${vector.constructor.name} has no ${field}`);
  return value as T;
}
