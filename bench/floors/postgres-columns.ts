/** Bun.SQL: a binary COPY, whose bytes a loop takes apart, and one into a temporary table. */
import { SQL } from "bun";
import { TICKS, type TickBatch } from "../column-data.ts";
import { type BareColumns, type BareSelection, selectionSql } from "./bare-columns.ts";

const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const MICROS_TO_2000 = 946_684_800_000_000;
const TWO_32 = 2 ** 32;
const ROW_BYTES_MAX = 60;
/** Of a text that isn't kept, as they are here. */
const TEXT_BYTES_MAX = 100;

function readSql(some?: BareSelection): string {
  const { texts, where } = selectionSql(some);
  return `copy (select "timestamp", price, size, type${texts} from realtime_data${where}
    order by ticker, type, "timestamp", seq) to stdout (format binary)`;
}

export const postgresColumns: BareColumns = {
  reads: "a binary COPY in order of the key, taken apart by a DataView",
  writes: "a binary COPY into a temporary table, and an insert from there",
  async read(location, some) {
    const sql = new SQL(location, { max: 1 });
    const ticks = new Ticks(some?.texts.length ?? 0);
    let rest = new Uint8Array();
    let skipped = HEADER.length;
    for await (const piece of sql.unsafe(readSql(some)).readable()) {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      rest = bytes.slice(
        skipped + ticks.take(new DataView(bytes.buffer, bytes.byteOffset + skipped, bytes.length - skipped)),
      );
      skipped = 0;
    }
    await sql.close();
    return { rows: ticks.rows, prices: ticks.sum };
  },
  async write(location, batches) {
    const sql = new SQL(location, { max: 1 });
    const session = await sql.reserve();
    await session.unsafe(`create table realtime_data (ticker text collate "C" not null,
      "timestamp" timestamptz not null, type text collate "C" not null, price float8, size numeric,
      ask_price float8, ask_size numeric, write_timestamp timestamptz default now(),
      seq bigint not null default 0, primary key (ticker, type, "timestamp", seq))`);
    await session.unsafe(`create temporary table saved ("timestamp" timestamptz, price float8, size int8)
      on commit delete rows`);
    const startedAt = performance.now();
    for (const batch of batches) {
      await session.unsafe("begin").simple();
      const writer = session.unsafe("copy saved from stdin (format binary)").writable().getWriter();
      await writer.write(encoded(batch));
      await writer.close();
      await session
        .unsafe(
          `insert into realtime_data (ticker, type, "timestamp", price, size)
           select '${batch.ticker}', 'trade', "timestamp", price, size from saved
           on conflict do nothing; commit`,
        )
        .simple();
    }
    const ms = performance.now() - startedAt;
    session.release();
    await sql.close();
    return ms;
  },
};

class Ticks {
  rows = 0;
  sum = 0;
  readonly #stamps = new Float64Array(TICKS);
  readonly #prices = new Float64Array(TICKS);
  readonly #sizes = new Float64Array(TICKS);
  readonly #types = new Int32Array(TICKS);
  /** Behind the four columns that are kept. */
  readonly #texts: number;

  constructor(texts: number) {
    this.#texts = texts;
  }

  /** @returns the bytes of the rows that have come whole. */
  take(view: DataView): number {
    const sureEnd = view.byteLength - ROW_BYTES_MAX - TEXT_BYTES_MAX * this.#texts;
    for (let at = 0; ; ) {
      if (at > sureEnd && !isWhole(view, at, 4 + this.#texts)) return at;
      const { rows } = this;
      this.#stamps[rows] = view.getInt32(at + 6) * TWO_32 + view.getUint32(at + 10) + MICROS_TO_2000;
      const price = view.getFloat64(at + 18);
      this.#prices[rows] = price;
      const length = view.getInt32(at + 26);
      this.#sizes[rows] = length < 0 ? Number.NaN : wholeNumeric(view, at + 30);
      at += 30 + Math.max(0, length);
      // There is one type.
      this.#types[rows] = 0;
      at += 4 + view.getInt32(at);
      for (let text = 0; text < this.#texts; text++) at += 4 + Math.max(0, view.getInt32(at));
      this.sum += price;
      this.rows++;
    }
  }
}

function isWhole(view: DataView, start: number, cells: number): boolean {
  let at = start + 2;
  if (at > view.byteLength || view.getInt16(start) < 0) return false;
  for (let cell = 0; cell < cells; cell++) {
    if (at + 4 > view.byteLength) return false;
    at += 4 + Math.max(0, view.getInt32(at));
  }
  return at <= view.byteLength;
}

function wholeNumeric(view: DataView, at: number): number {
  const groups = view.getUint16(at);
  const weight = view.getInt16(at + 2);
  let value = 0;
  for (let group = 0; group <= weight; group++)
    value = value * 10_000 + (group < groups ? view.getUint16(at + 8 + 2 * group) : 0);
  return value;
}

function encoded({ batch, stamps, prices, sizes, sizeNulls }: TickBatch): Uint8Array {
  const bytes = Buffer.alloc(HEADER.length + batch.rows * ROW_BYTES_MAX + 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  HEADER.copy(bytes);
  let at = HEADER.length;
  for (let row = 0; row < batch.rows; row++) {
    view.setInt16(at, 3);
    view.setInt32(at + 2, 8);
    view.setBigInt64(at + 6, stamps[row]! - BigInt(MICROS_TO_2000));
    view.setInt32(at + 14, 8);
    view.setFloat64(at + 18, prices[row]!);
    const isNull = sizeNulls[row] === 1;
    view.setInt32(at + 26, isNull ? -1 : 8);
    if (!isNull) view.setBigInt64(at + 30, sizes[row]!);
    at += isNull ? 30 : 38;
  }
  view.setInt16(at, -1);
  return bytes.subarray(0, at + 2);
}
