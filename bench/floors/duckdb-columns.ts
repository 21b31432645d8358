/** @duckdb/node-api: streamed chunks, their vectors copied; an appender of chunks. */
import {
  BIGINT,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBVector,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import { TICKS, type TickBatch } from "../column-data.ts";
import { type BareColumns, type BareSelection, selectionSql } from "./bare-columns.ts";

/** As many as `--duckdb-threads` is by default. */
const THREADS = "2";
const MEMORY = "512MB";
const CHUNK_ROWS = 2_048;
const COLUMNS = `ticker varchar not null, timestamp timestamp not null, type varchar not null,
  price double, size bigint, ask_price double, ask_size bigint, write_timestamp timestamp,
  seq bigint not null`;
const TYPES = [VARCHAR, TIMESTAMP, VARCHAR, DOUBLE, BIGINT, DOUBLE, BIGINT, TIMESTAMP, BIGINT];

/** The arrays that the driver's types keep private. */
interface Arrays<A> {
  items: A;
  validity: { data: BigUint64Array | null };
}

export const duckDbColumns: BareColumns = {
  reads: "a stream with ORDER BY, vectors copied, the texts one by one",
  writes: "an appender of chunks",
  read,
  async write(location, batches) {
    const instance = await DuckDBInstance.create(location, { threads: THREADS });
    const connection = await instance.connect();
    await connection.run(`create table realtime_data (${COLUMNS})`);
    const startedAt = performance.now();
    await addAll(connection, batches);
    const ms = performance.now() - startedAt;
    connection.closeSync();
    instance.closeSync();
    return ms;
  },
};

async function read(location: string, some?: BareSelection): Promise<{ rows: number; prices: number }> {
  const options = { threads: THREADS, memory_limit: MEMORY, access_mode: "READ_ONLY" };
  const instance = await DuckDBInstance.create(location, options);
  const connection = await instance.connect();
  const { texts, where } = selectionSql(some);
  const result = await connection.stream(
    `select timestamp, price, size, type${texts} from realtime_data${where}
     order by ticker, type, timestamp, seq`,
  );
  const stamps = new BigInt64Array(TICKS);
  const prices = new Float64Array(TICKS);
  const sizes = new BigInt64Array(TICKS);
  const types = new Int32Array(TICKS);
  const codes = new Map<string, number>();
  let rows = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    stamps.set(memory<BigInt64Array>(chunk.getColumnVector(0)).items, rows);
    prices.set(memory<Float64Array>(chunk.getColumnVector(1)).items, rows);
    sizes.set(memory<BigInt64Array>(chunk.getColumnVector(2)).items, rows);
    const type = chunk.getColumnVector(3);
    for (let i = 0; i < chunk.rowCount; i++) {
      const text = type.getItem(i) as string;
      const code = codes.get(text) ?? codes.size;
      codes.set(text, code);
      types[rows + i] = code;
    }
    for (let column = 4; column < chunk.columnCount; column++) {
      const vector = chunk.getColumnVector(column);
      for (let i = 0; i < chunk.rowCount; i++) vector.getItem(i);
    }
    rows += chunk.rowCount;
  }
  connection.closeSync();
  instance.closeSync();
  return { rows, prices: prices.reduce((sum, price) => sum + price, 0) };
}

async function addAll(connection: DuckDBConnection, batches: TickBatch[]): Promise<void> {
  const appender = await connection.createAppender("realtime_data");
  const chunk = DuckDBDataChunk.create(TYPES, CHUNK_ROWS);
  const zeros = new BigInt64Array(CHUNK_ROWS);
  for (const { ticker, batch, stamps, prices, sizes, sizeNulls } of batches) {
    await connection.run("begin transaction");
    const now = new BigInt64Array(CHUNK_ROWS).fill(BigInt(Date.now()) * 1_000n);
    for (let at = 0; at < batch.rows; at += CHUNK_ROWS) {
      const end = Math.min(batch.rows, at + CHUNK_ROWS);
      chunk.reset();
      chunk.rowCount = end - at;
      const isNull = (i: number): boolean => sizeNulls[at + i] === 1;
      fillText(chunk.getColumnVector(0), ticker, end - at);
      fill(chunk.getColumnVector(1), stamps.subarray(at, end));
      fillText(chunk.getColumnVector(2), "trade", end - at);
      fill(chunk.getColumnVector(3), prices.subarray(at, end));
      fill(chunk.getColumnVector(4), sizes.subarray(at, end), isNull);
      fill(chunk.getColumnVector(5), null, () => true);
      fill(chunk.getColumnVector(6), null, () => true);
      fill(chunk.getColumnVector(7), now.subarray(0, end - at));
      fill(chunk.getColumnVector(8), zeros.subarray(0, end - at));
      appender.appendDataChunk(chunk);
    }
    appender.flushSync();
    await connection.run("commit");
  }
  appender.closeSync();
}

function memory<A>(vector: DuckDBVector): Arrays<A> {
  return vector as unknown as Arrays<A>;
}

function fillText(vector: DuckDBVector, text: string, rows: number): void {
  for (let i = 0; i < rows; i++) vector.setItem(i, text);
  vector.flush();
}

function fill(
  vector: DuckDBVector,
  values: Float64Array | BigInt64Array | null,
  isNull?: (i: number) => boolean,
): void {
  const { items, validity } = memory<Float64Array>(vector);
  if (values !== null) items.set(values as Float64Array);
  validity.data = null;
  if (isNull !== undefined) {
    const bits = new Uint32Array(CHUNK_ROWS / 32);
    for (let i = 0; i < CHUNK_ROWS; i++) if (!isNull(i)) bits[i >>> 5]! |= 1 << (i & 31);
    validity.data = new BigUint64Array(bits.buffer);
  }
  vector.flush();
}
