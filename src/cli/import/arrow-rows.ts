/** Rows of an Arrow file or stream (IPC), batch by batch. */
import type { RecordBatch } from "apache-arrow";
import { type ArrowCell, arrowCells } from "../../formats/arrow-cells.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { SourceRow } from "./csv-rows.ts";
import { SourceError } from "./source.ts";

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
      const columns: ((index: number) => ArrowCell)[] = [];
      for (let column = 0; column < batch.numCols; column++) {
        columns.push(arrowCells(batch.getChildAt(column)!, DataType));
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
