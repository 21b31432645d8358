/**
 * The rows of a save of columns, as arrays of one statement after the other. A COPY into a
 * temporary table would be some 1.4 times as fast; this needs no right to make one, and no COPY.
 *
 * Only where each row is stored as it stands, or none: no moving averages, whose rows depend on
 * each other, and each key once and after the one before. All else is saved as rows.
 */
import { seqsOf } from "../column-saves.ts";
import type { ColumnSave } from "../contract.ts";
import { countText } from "../count-text.ts";
import type { ColumnData } from "../model/columns.ts";
import { byKind, type KindName, kindOf, type RowKind } from "../model/kinds.ts";
import { Int64Reader } from "../model/stamp-text.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { columnSql, SQL_TYPES } from "./sql-text.ts";
import { NotNewError } from "./tick-store.ts";

/** Some 5 ms of work for this process. */
const ROWS_PER_STATEMENT = 5_000;
const MICROS = 1_000_000;

const SQL = byKind(kindSql);

/**
 * Stores rows whose stamps the series doesn't have yet. Stamps come as seconds and microseconds,
 * which add up exactly.
 */
function kindSql(kind: RowKind): string {
  const { stamp, values, hasSeq, part } = kind;
  const series = part === null ? ["ticker"] : ["ticker", columnSql(part)];
  const cells = [...(hasSeq ? ["seq"] : []), ...values.map(({ name }) => name)];
  const types = ["int8", "int4", ...(hasSeq ? ["int8"] : []), ...values.map(({ type }) => SQL_TYPES[type])];
  const arrays = types.map((type, index) => `$${series.length + index + 2}::${type}[]`);
  const columns = [...series, columnSql(stamp.name), ...cells, "write_timestamp"];
  const stampSql = `timestamptz '1970-01-01 00:00:00+00'
        + u.seconds * interval '1 second' + u.micros * interval '1 microsecond'`;
  const isSeries = series.map((name, index) => `t.${name} = $${index + 1}::text`);
  return `INSERT INTO ${kind.table} (${columns.join(", ")})
    SELECT ${series.map((_, index) => `$${index + 1}::text`).join(", ")}, ${stampSql},
      ${cells.map((cell) => `u.${cell}`).join(", ")}, $${series.length + 1}::timestamptz
    FROM unnest(${arrays.join(", ")}) AS u(seconds, micros, ${cells.join(", ")})
    WHERE NOT EXISTS (SELECT 1 FROM ${kind.table} t
      WHERE ${isSeries.join(" AND ")} AND t.${columnSql(stamp.name)} = ${stampSql})
    ON CONFLICT DO NOTHING`;
}

export class ColumnRows {
  readonly #save: ColumnSave;
  readonly #stamps: BigInt64Array;
  /** Null where the kind has none. */
  readonly #seqs: BigInt64Array | null;
  /** Null of a column that the save doesn't bring. */
  readonly #values: (ColumnData | null)[];

  private constructor(
    save: ColumnSave,
    columns: { stamps: BigInt64Array; seqs: BigInt64Array | null; values: (ColumnData | null)[] },
  ) {
    this.#save = save;
    this.#stamps = columns.stamps;
    this.#seqs = columns.seqs;
    this.#values = columns.values;
  }

  /** Null: they have to be saved as rows. */
  static of(save: ColumnSave): ColumnRows | null {
    const { rows, columns } = save.batch;
    const { stamp, values, computed, hasSeq } = kindOf(save.kind);
    const stamps = columns.get(stamp.name);
    if (rows === 0 || computed.length > 0 || stamps?.type !== "instant") return null;
    const seqs = hasSeq ? seqsOf(save) : null;
    if ((hasSeq && seqs === null) || !isAscending(stamps.values, seqs)) return null;
    return new ColumnRows(save, {
      stamps: stamps.values,
      seqs,
      values: values.map(({ name }) => columns.get(name) ?? null),
    });
  }

  get rows(): number {
    return this.#stamps.length;
  }

  /** @throws NotNewError a stamp is stored already. */
  async write(connection: PostgresConnection, writtenAt: string): Promise<void> {
    const { kind, ticker, part } = this.#save;
    const sql = SQL[kind as KindName];
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
    const stamps = new Int64Reader(this.#stamps);
    let seconds = "";
    let micros = "";
    for (let row = from; row < to; row++) {
      const stamp = stamps.at(row);
      const isExact = typeof stamp === "number";
      const second = isExact ? Math.floor(stamp / MICROS) : Number(stamp / BigInt(MICROS));
      seconds += `,${second}`;
      micros += `,${isExact ? stamp - second * MICROS : Number(stamp % BigInt(MICROS))}`;
    }
    const seqs = this.#seqs === null ? [] : [arrayOf(this.#seqs.subarray(from, to).join(","))];
    return [
      arrayOf(seconds.slice(1)),
      arrayOf(micros.slice(1)),
      ...seqs,
      ...this.#values.map((data) => (data === null ? nullArray(to - from) : valueArray(data, from, to))),
    ];
  }
}

function isAscending(stamps: BigInt64Array, seqs: BigInt64Array | null): boolean {
  const stamp = new Int64Reader(stamps);
  const seq = seqs === null ? null : new Int64Reader(seqs);
  for (let row = 1; row < stamps.length; row++) {
    const [before, now] = [stamp.at(row - 1), stamp.at(row)];
    if (now < before) return false;
    if (now === before && (seq === null || seq.at(row) <= seq.at(row - 1))) return false;
  }
  return true;
}

function nullArray(length: number): string {
  return arrayOf(new Array(length).fill("NULL").join(","));
}

function valueArray({ nulls, ...data }: ColumnData, from: number, to: number): string {
  if (data.type === "text") {
    const cells = data.dictionary.map((text) => textArray([text]).slice(1, -1));
    return joined(from, to, nulls, (row) => cells[data.codes[row]!]!);
  }
  // A double may be a count, whose digits all count.
  if (data.type === "double") return joined(from, to, nulls, (row) => countText(data.values[row]!)!);
  const values = new Int64Reader(data.values as BigInt64Array);
  return joined(from, to, nulls, (row) => `${values.at(row)}`);
}

function joined(from: number, to: number, nulls: Uint8Array | null, cell: (row: number) => string): string {
  let list = "";
  for (let row = from; row < to; row++) list += `,${nulls?.[row] === 1 ? "NULL" : cell(row)}`;
  return arrayOf(list.slice(1));
}

function arrayOf(list: string): string {
  return `{${list}}`;
}
