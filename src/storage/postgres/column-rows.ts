/**
 * The rows of a save of columns, as arrays of one statement after the other. A COPY into a
 * temporary table would be some 1.4 times as fast; this needs no right to make one, and no COPY.
 *
 * Only where each row is stored as it stands, or none: no moving averages, whose rows depend on
 * each other, and each key once and after the one before. All else is saved as rows.
 */
import type { ColumnSave } from "../contract.ts";
import type { ColumnBatch, ColumnData } from "../model/columns.ts";
import { byKind, type KindName, keyColumns, kindOf, type RowKind } from "../model/kinds.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { countText } from "./count-text.ts";
import { columnSql, SQL_TYPES } from "./sql-text.ts";
import { NotNewError } from "./tick-store.ts";

/** Some 5 ms of work for this process. */
const ROWS_PER_STATEMENT = 5_000;
const MICROS = 1_000_000;

interface ColumnSql {
  insertNew: string;
  replace: string;
}

const SQL = byKind(kindSql);

/** Stamps come as seconds and microseconds, which add up exactly. */
function kindSql(kind: RowKind): ColumnSql {
  const { stamp, values, hasSeq, part } = kind;
  const series = part === null ? ["ticker"] : ["ticker", columnSql(part)];
  const cells = [...(hasSeq ? ["seq"] : []), ...values.map(({ name }) => name)];
  const types = ["int8", "int4", ...(hasSeq ? ["int8"] : []), ...values.map(({ type }) => SQL_TYPES[type])];
  const arrays = types.map((type, index) => `$${series.length + index + 2}::${type}[]`);
  const columns = [...series, columnSql(stamp.name), ...cells, "write_timestamp"];
  const insert = `INSERT INTO ${kind.table} (${columns.join(", ")})
    SELECT ${series.map((_, index) => `$${index + 1}::text`).join(", ")},
      timestamptz '1970-01-01 00:00:00+00'
        + u.seconds * interval '1 second' + u.micros * interval '1 microsecond',
      ${cells.map((cell) => `u.${cell}`).join(", ")}, $${series.length + 1}::timestamptz
    FROM unnest(${arrays.join(", ")}) AS u(seconds, micros, ${cells.join(", ")})`;
  const updated = [...values.map(({ name }) => name), "write_timestamp"];
  return {
    insertNew: `${insert} ON CONFLICT DO NOTHING`,
    replace: `${insert} ON CONFLICT (${keyColumns(kind).map(columnSql).join(", ")}) DO UPDATE SET
      ${updated.map((name) => `${name} = excluded.${name}`).join(", ")}`,
  };
}

export class ColumnRows {
  readonly #save: Omit<ColumnSave, "batch">;
  readonly #stamps: BigInt64Array;
  /** Null where the kind has none. */
  readonly #seqs: Float64Array | null;
  readonly #values: ColumnData[];

  private constructor(
    save: Omit<ColumnSave, "batch">,
    columns: { stamps: BigInt64Array; seqs: Float64Array | null; values: ColumnData[] },
  ) {
    this.#save = save;
    this.#stamps = columns.stamps;
    this.#seqs = columns.seqs;
    this.#values = columns.values;
  }

  /** Null: they have to be saved as rows. */
  static of(save: Omit<ColumnSave, "batch">, { rows, columns }: ColumnBatch): ColumnRows | null {
    const { stamp, values, computed, hasSeq } = kindOf(save.kind);
    const stamps = columns.get(stamp.name);
    if (rows === 0 || computed.length > 0 || stamps?.type !== "instant") return null;
    const seqs = hasSeq ? seqsOf(stamps.values, columns.get("seq")!) : null;
    if (!isAscending(stamps.values, seqs)) return null;
    return new ColumnRows(save, {
      stamps: stamps.values,
      seqs,
      values: values.map(({ name }) => columns.get(name)!),
    });
  }

  get rows(): number {
    return this.#stamps.length;
  }

  /** @throws NotNewError a key is taken, and the save doesn't replace. */
  async write(connection: PostgresConnection, writtenAt: string): Promise<void> {
    const { kind, ticker, part, onDuplicate } = this.#save;
    const sql = SQL[kind as KindName][onDuplicate === "replace" ? "replace" : "insertNew"];
    const series = part === null ? [ticker] : [ticker, part];
    let written = 0;
    let arrays: string[] | null = this.#arrays(0);
    for (let from = 0; arrays !== null; ) {
      const answer = connection.run(sql, [...series, writtenAt, ...arrays]);
      from += ROWS_PER_STATEMENT;
      // The next ones are made while the database stores these.
      arrays = from < this.rows ? this.#arrays(from) : null;
      written += (await answer).count;
    }
    if (written < this.rows)
      throw new NotNewError(`${this.rows - written} of ${this.rows} rows are stored already`);
  }

  #arrays(from: number): string[] {
    const to = Math.min(this.rows, from + ROWS_PER_STATEMENT);
    let seconds = "";
    let micros = "";
    for (let row = from; row < to; row++) {
      const stamp = this.#stamps[row]!;
      const number = Number(stamp);
      const isExact = Number.isSafeInteger(number);
      const second = isExact ? Math.floor(number / MICROS) : Number(stamp / BigInt(MICROS));
      seconds += `,${second}`;
      micros += `,${isExact ? number - second * MICROS : Number(stamp % BigInt(MICROS))}`;
    }
    const seqs = this.#seqs === null ? [] : [arrayOf(this.#seqs.subarray(from, to).join(","))];
    return [
      arrayOf(seconds.slice(1)),
      arrayOf(micros.slice(1)),
      ...seqs,
      ...this.#values.map((data) => valueArray(data, from, to)),
    ];
  }
}

/** Those that the save sent, else 0, 1, 2 … among those of its stamp; see SaveTicks. */
function seqsOf(stamps: BigInt64Array, sent: ColumnData): Float64Array {
  const seqs = new Float64Array(stamps.length);
  let unsent = 0;
  for (let row = 0; row < stamps.length; row++) {
    if (row === 0 || stamps[row] !== stamps[row - 1]) unsent = 0;
    const isSent = sent.type === "int64" && sent.nulls?.[row] !== 1;
    seqs[row] = isSent ? Number(sent.values[row]) : unsent++;
  }
  return seqs;
}

function isAscending(stamps: BigInt64Array, seqs: Float64Array | null): boolean {
  for (let row = 1; row < stamps.length; row++) {
    const [before, stamp] = [stamps[row - 1]!, stamps[row]!];
    if (stamp < before) return false;
    if (stamp === before && (seqs === null || seqs[row]! <= seqs[row - 1]!)) return false;
  }
  return true;
}

function valueArray({ nulls, ...data }: ColumnData, from: number, to: number): string {
  if (data.type === "text") {
    const cells = data.dictionary.map((text) => textArray([text]).slice(1, -1));
    return joined(from, to, nulls, (row) => cells[data.codes[row]!]!);
  }
  const { values } = data;
  // A double may be a count, whose digits all count.
  return data.type === "double"
    ? joined(from, to, nulls, (row) => countText(data.values[row]!)!)
    : joined(from, to, nulls, (row) => `${values[row]}`);
}

function joined(from: number, to: number, nulls: Uint8Array | null, cell: (row: number) => string): string {
  let list = "";
  for (let row = from; row < to; row++) list += `,${nulls?.[row] === 1 ? "NULL" : cell(row)}`;
  return arrayOf(list.slice(1));
}

function arrayOf(list: string): string {
  return `{${list}}`;
}
