/** Rows of an Arrow file or stream (IPC), batch by batch. */
import type { RecordBatch, Vector } from "apache-arrow";
import type { SourceField } from "../../market/csv.ts";
import { stampOfMicros } from "../../market/stamp-micros.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { SourceRow } from "./csv-rows.ts";
import { SourceError } from "./source.ts";

type CellReader = (index: number) => SourceField;

/** @throws SourceError */
export async function arrowRows(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ columns: string[]; batches: AsyncGenerator<SourceRow[]> }> {
  const { RecordBatchReader, compressionRegistry, CompressionType } = await import("apache-arrow");
  compressionRegistry.set(CompressionType.ZSTD, {
    encode: (data) => Bun.zstdCompressSync(data),
    decode: (data) => Bun.zstdDecompressSync(data),
  });
  try {
    const reader = await RecordBatchReader.from(chunks);
    await reader.open();
    const { schema } = reader;
    return { columns: schema.fields.map((field) => field.name), batches: batches(name, reader) };
  } catch (error) {
    throw failure(name, error);
  }
}

async function* batches(name: string, reader: AsyncIterable<RecordBatch>): AsyncGenerator<SourceRow[]> {
  const { DataType } = await import("apache-arrow");
  let line = 1;
  try {
    for await (const batch of reader) {
      const columns: CellReader[] = [];
      for (let column = 0; column < batch.numCols; column++) {
        columns.push(readerOf(batch.getChildAt(column)!, DataType));
      }
      yield Array.from({ length: batch.numRows }, (_, index) => ({
        line: line++,
        fields: columns.map((read) => read(index)),
      }));
    }
  } catch (error) {
    throw failure(name, error);
  }
}

function failure(name: string, error: unknown): SourceError {
  const message = messageOf(error);
  const hint = /codec|compress/i.test(message) ? " (write it uncompressed or with zstd)" : "";
  return new SourceError(`cannot read ${name} as Arrow: ${message}${hint}`, { cause: error });
}

/** Stamps become text with all of their digits: the library's own values are rounded. */
function readerOf(
  vector: Vector,
  { isTimestamp, isDate, isDecimal }: typeof import("apache-arrow").DataType,
): CellReader {
  const { type } = vector;
  if (isTimestamp(type)) {
    const { unit, timezone } = type as unknown as { unit: number; timezone: string | null };
    // A zone says how the instant is shown; without one it is a wall clock.
    const suffix = timezone === null || timezone === undefined || timezone === "" ? "" : "Z";
    return (index) => {
      const value = integerAt(vector, index);
      return value === null ? null : stampOfMicros(microsOf(value, unit)) + nanosOf(value, unit) + suffix;
    };
  }
  if (isDate(type)) {
    return (index) => {
      const value: unknown = vector.get(index);
      return value === null ? null : new Date(Number(value)).toISOString().slice(0, 10);
    };
  }
  if (isDecimal(type)) {
    const { scale } = type as unknown as { scale: number };
    return (index) => (vector.isValid(index) ? `${vector.get(index)}e-${scale}` : null);
  }
  return (index) => fieldOf(vector.get(index));
}

function integerAt(vector: Vector, index: number): bigint | null {
  if (!vector.isValid(index)) return null;
  const [data] = vector.data;
  return BigInt.asIntN(64, (data!.values as BigInt64Array)[index]!);
}

/** @param unit 0 seconds, 1 milliseconds, 2 microseconds, 3 nanoseconds. */
function microsOf(value: bigint, unit: number): number {
  if (unit === 3) return Number(value / 1000n - (value < 0n && value % 1000n !== 0n ? 1n : 0n));
  return Number(value * 10n ** BigInt(6 - unit * 3));
}

/** Digits after the microsecond: they can't be stored, and the plan says so. */
function nanosOf(value: bigint, unit: number): string {
  return unit === 3 ? String(((value % 1000n) + 1000n) % 1000n).padStart(3, "0") : "";
}

function fieldOf(value: unknown): SourceField {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "string") return value;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
