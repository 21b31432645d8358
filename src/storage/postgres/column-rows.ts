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
import { dayText, Int64Reader, StampTexts } from "../model/stamp-text.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { asInstant, columnSql, SQL_TYPES } from "./sql-text.ts";
import { NotNewError } from "./tick-store.ts";

/** Some 5 ms of work for this process. */
const ROWS_PER_STATEMENT = 5_000;

/** By the columns that have a value in some row: nulls are what the others have anyway. */
class Statements {
  readonly #kind: RowKind;
  readonly #made = new Map<string, { taken: string; insert: string }>();

  constructor(kind: RowKind) {
    this.#kind = kind;
  }

  of(present: readonly string[]): { taken: string; insert: string } {
    const key = present.join(",");
    const made = this.#made.get(key) ?? statementsOf(this.#kind, present);
    this.#made.set(key, made);
    return made;
  }
}

const STATEMENTS = byKind((kind) => new Statements(kind));

/**
 * `taken` finds a row of the series between two stamps. `insert` stores rows; it compares nothing,
 * as a look for each row would take longer than to store it.
 */
function statementsOf(kind: RowKind, present: readonly string[]): { taken: string; insert: string } {
  const { table, stamp, hasSeq, part } = kind;
  const values = kind.values.filter(({ name }) => present.includes(name));
  const series = part === null ? ["ticker"] : ["ticker", columnSql(part)];
  const isSeries = series.map((name, index) => `${name} = $${index + 1}::text`).join(" AND ");
  const [from, to] = [1, 2].map((place) => stampSql(`$${series.length + place}::int8`));
  const cells = [...(hasSeq ? ["seq"] : []), ...values.map(({ name }) => name)];
  const types = ["int8", ...(hasSeq ? ["int8"] : []), ...values.map(({ type }) => SQL_TYPES[type])];
  const arrays = types.map((type, index) => `$${series.length + index + 2}::${type}[]`);
  const columns = [...series, columnSql(stamp.name), ...cells, "write_timestamp"];
  return {
    taken: `SELECT 1 FROM ${table} WHERE ${isSeries} AND ${columnSql(stamp.name)} BETWEEN ${from} AND ${to} LIMIT 1`,
    insert: `INSERT INTO ${table} (${columns.join(", ")})
    SELECT ${series.map((_, index) => `$${index + 1}::text`).join(", ")}, ${stampSql("u.micros")},
      ${cells.map((cell) => `u.${cell}`).join(", ")}, $${series.length + 1}::timestamptz
    FROM unnest(${arrays.join(", ")}) AS u(micros, ${cells.join(", ")})`,
  };
}

/** Exact for microseconds that a double holds. */
function stampSql(micros: string): string {
  return `timestamptz '1970-01-01 00:00:00+00' + ${micros} * interval '1 microsecond'`;
}

export class ColumnRows {
  readonly #save: ColumnSave;
  readonly #stamps: BigInt64Array;
  /** Null where the kind has none. */
  readonly #seqs: BigInt64Array | null;
  /** Of columns that have a value in some row, by name. */
  readonly #values: [name: string, data: ColumnData][];

  private constructor(
    save: ColumnSave,
    columns: {
      stamps: BigInt64Array;
      seqs: BigInt64Array | null;
      values: [name: string, data: ColumnData][];
    },
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
    const reader = new Int64Reader(stamps.values);
    if (![0, rows - 1].every((row) => typeof reader.at(row) === "number")) return null;
    return new ColumnRows(save, {
      stamps: stamps.values,
      seqs,
      values: values.flatMap(({ name }): [string, ColumnData][] => {
        const data = columns.get(name);
        return data === undefined || data.nulls?.includes(0) === false ? [] : [[name, data]];
      }),
    });
  }

  get rows(): number {
    return this.#stamps.length;
  }

  /**
   * Nobody else stores rows of the ticker meanwhile; other programs may, and then a key is taken.
   * @throws NotNewError rows between their stamps are stored already.
   */
  async write(connection: PostgresConnection, writtenAt: string): Promise<void> {
    const { kind, ticker, part } = this.#save;
    const { taken, insert } = STATEMENTS[kind as KindName].of(this.#values.map(([name]) => name));
    const series = part === null ? [ticker] : [ticker, part];
    const ends = [this.#stamps[0]!, this.#stamps.at(-1)!].map(String);
    const { count } = await connection.run(taken, [...series, ...ends]);
    if (count > 0) throw new NotNewError("rows between these are stored already");
    let written = 0;
    let arrays: string[] | null = this.#arrays(0);
    for (let from = 0; arrays !== null; ) {
      const answer = connection.run(insert, [...series, writtenAt, ...arrays]);
      from += ROWS_PER_STATEMENT;
      // The next ones are made while the database stores these.
      arrays = from < this.rows ? this.#arrays(from) : null;
      written += (await answer).count;
    }
    if (written < this.rows)
      throw new NotNewError(`${this.rows - written} of ${this.rows} rows were not stored`);
  }

  #arrays(from: number): string[] {
    const to = Math.min(this.rows, from + ROWS_PER_STATEMENT);
    const stamps = new Int64Reader(this.#stamps);
    const seqs = this.#seqs === null ? [] : [arrayOf(this.#seqs.subarray(from, to).join(","))];
    return [
      joined(from, to, null, (row) => String(stamps.at(row))),
      ...seqs,
      ...this.#values.map(([, data]) => valueArray(data, from, to)),
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

function valueArray({ nulls, ...data }: ColumnData, from: number, to: number): string {
  if (data.type === "text") {
    const cells = data.dictionary.map((text) => textArray([text]).slice(1, -1));
    return joined(from, to, nulls, (row) => cells[data.codes[row]!]!);
  }
  if (data.type === "date") return joined(from, to, nulls, (row) => dayText(data.values[row]!));
  if (data.type === "instant") {
    const texts = new StampTexts(data.values, true);
    return joined(from, to, nulls, (row) => `"${asInstant(texts.at(row))}"`);
  }
  // A double may be a count, whose digits all count.
  if (data.type === "double") return joined(from, to, nulls, (row) => countText(data.values[row]!)!);
  const values = new Int64Reader(data.values);
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
