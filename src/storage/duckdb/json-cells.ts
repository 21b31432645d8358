/**
 * Writes cells of a result as JSON, straight from DuckDB's vectors. Lists and long texts are
 * written piece by piece, so that one cell of hundreds of megabytes neither holds up the process
 * nor fills its memory.
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

/** Longer texts and BLOBs are written in such blocks; 3 n bytes, so that base64 can be joined. */
const BLOCK_BYTES = 3 * 64 * 1024;
/** Items of a list between two chances of a pause. */
const ITEMS_PER_TURN = 64;
/** Bound on values whose text is made whole: BIT, BIGNUM, GEOMETRY, VARIANT. */
const ODD_VALUE_BYTES_MAX = 64 * 1024;

/**
 * Writes one cell. For a large one it returns a generator that writes the rest, and yields wherever
 * the event loop may have a turn.
 */
export type Cells = (index: number, out: AnswerRows) => Generator<void> | null;

const INT64_END = 2 ** 63;

/**
 * Integers and decimals keep all digits, BLOBs become base64, what isn't finite becomes null. What
 * JSON has no form for becomes DuckDB's own text.
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
    const validity = validityOf(vector);
    return plain(vector, (index) => {
      if (byteLength(view, index) > ODD_VALUE_BYTES_MAX) refuseValue(vector, validity, index);
    });
  }
  return plain(vector);
}

function plain(vector: DuckDBVector, check: (index: number) => void = () => {}): Cells {
  return (index, out) => {
    check(index);
    out.add(encodeScalar(vector.getItem(index)));
    return null;
  };
}

/** As `cellsOf` writes it. */
export function encodeScalar(value: DuckDBValue): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof DuckDBDecimalValue) return trimmed(value.toString());
  return JSON.stringify(String(value));
}

/** Whole numbers have all digits, so that a volume prints the same whatever its column's type. */
function encodeNumber(value: number): string {
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < INT64_END)
    return String(BigInt(value));
  return Number.isFinite(value) ? String(value) : "null";
}

function texts(vector: DuckDBVarCharVector): Cells {
  const view = inside<DataView>(vector, "dataView");
  const validity = validityOf(vector);
  const bytesOf = bytesIn(vector, view);
  const decoder = new TextDecoder();
  return (index, out) => {
    if (!validity.itemValid(index)) {
      out.add("null");
      return null;
    }
    const length = byteLength(view, index);
    if (length > BLOCK_BYTES) out.expect(length);
    // Not `getItem`, which keeps each text for as long as the vector lives.
    const bytes = bytesOf(index)!;
    if (length > BLOCK_BYTES) return longText(bytes, out);
    out.add(JSON.stringify(decoder.decode(bytes)));
    return null;
  };
}

function* longText(bytes: Uint8Array, out: AnswerRows): Generator<void> {
  out.add('"');
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    out.addBytes(escapedBytes(bytes.subarray(at, at + BLOCK_BYTES)));
    yield;
  }
  out.add('"');
}

function blobs(vector: DuckDBBlobVector): Cells {
  const view = inside<DataView>(vector, "dataView");
  const validity = validityOf(vector);
  return (index, out) => {
    if (!validity.itemValid(index)) {
      out.add("null");
      return null;
    }
    const length = byteLength(view, index);
    if (length > BLOCK_BYTES) out.expect(length);
    const bytes = vector.getItemBytes(index)!;
    if (length > BLOCK_BYTES) return longBlob(bytes, out);
    out.add(`"${bytes.toBase64()}"`);
    return null;
  };
}

function* longBlob(bytes: Uint8Array, out: AnswerRows): Generator<void> {
  out.add('"');
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    out.add(bytes.subarray(at, at + BLOCK_BYTES).toBase64());
    yield;
  }
  out.add('"');
}

function lists(vector: DuckDBListVector): Cells {
  const validity = validityOf(vector);
  const items = cellsOf(vector.childVector);
  return function* (index, out) {
    if (!validity.itemValid(index)) out.add("null");
    else
      yield* list(items, { from: vector.getEntryOffset(index), length: vector.getEntryLength(index) }, out);
  };
}

function arrays(vector: DuckDBArrayVector): Cells {
  const validity = validityOf(vector);
  const items = cellsOf(inside<DuckDBVector>(vector, "childData"));
  const { length } = vector.type;
  return function* (index, out) {
    if (!validity.itemValid(index)) out.add("null");
    else yield* list(items, { from: index * length, length }, out);
  };
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
  return function* (index, out) {
    if (!vector.isItemValid(index)) {
      out.add("null");
      return;
    }
    out.add("{");
    for (const { prefix, cells } of members) {
      out.add(prefix);
      const rest = cells(index, out);
      if (rest !== null) yield* rest;
    }
    out.add("}");
  };
}

function maps(vector: DuckDBMapVector): Cells {
  const entries = inside<DuckDBListVector>(vector, "listVector");
  const validity = validityOf(entries);
  const pairs = entries.childVector as DuckDBStructVector;
  const keys = pairs.entryVectorAt(0);
  if (isNested(keys)) return plain(vector, (index) => refuseValue(vector, validity, index));
  const values = cellsOf(pairs.entryVectorAt(1));
  return function* (index, out) {
    if (!validity.itemValid(index)) {
      out.add("null");
      return;
    }
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
  };
}

/** Text, as DuckDB writes it. */
function unions(vector: DuckDBUnionVector): Cells {
  const members = inside<DuckDBStructVector>(vector, "structVector");
  const validity = validityOf(members);
  const nested = vector.type.memberTypes.some((_, member) => isNested(members.entryVectorAt(member + 1)));
  return nested ? plain(vector, (index) => refuseValue(vector, validity, index)) : plain(vector);
}

/** Text, as DuckDB writes it. */
function variants(vector: DuckDBVariantVector): Cells {
  const nodes = inside<DuckDBListVector>(vector, "valuesList");
  const data = inside<DuckDBBlobVector>(vector, "dataBlob");
  const view = inside<DataView>(data, "dataView");
  const validity = validityOf(inside<DuckDBStructVector>(vector, "structVec"));
  return plain(vector, (index) => {
    const isLarge =
      nodes.getEntryLength(index) > ODD_VALUE_BYTES_MAX / 16 || byteLength(view, index) > ODD_VALUE_BYTES_MAX;
    if (isLarge) refuseValue(vector, validity, index);
  });
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

function refuseValue(vector: DuckDBVector, validity: Validity, index: number): void {
  if (validity.itemValid(index)) throw needsCast(vector);
}

function needsCast(vector: DuckDBVector): Error {
  return badRequest(`execute_sql: a value of type ${vector.type} can't be answered as it is`, {
    hint: "Cast it to VARCHAR or JSON.",
  });
}

function trimmed(decimal: string): string {
  return decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal;
}

interface Validity {
  itemValid(index: number): boolean;
}

/** The bytes of texts, as the vector of BLOBs gives them: both are stored in the same way. */
function bytesIn(vector: DuckDBVarCharVector, view: DataView): (index: number) => Uint8Array | null {
  const bytes: DuckDBBlobVector = Reflect.construct(DuckDBBlobVector, [
    view,
    validityOf(vector),
    inside(vector, "vector"),
    0,
    vector.itemCount,
  ]);
  return (index) => bytes.getItemBytes(index);
}

/** The length of a text or a BLOB; of a NULL, any number. */
function byteLength(view: DataView, index: number): number {
  return view.getUint32(index * 16, true);
}

function validityOf(vector: DuckDBVector): Validity {
  return inside<Validity>(vector, "validity");
}

/** Private parts of @duckdb/node-api's vectors, whose public ways build whole values. */
export function inside<T>(vector: DuckDBVector, field: string): T {
  const value: unknown = Reflect.get(vector, field);
  if (typeof value !== "object" || value === null)
    throw new Error(`${vector.constructor.name} has no ${field}`);
  return value as T;
}
