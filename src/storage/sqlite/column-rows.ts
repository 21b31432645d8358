/** Columns on their way into a table, some rows to a statement, as SQLite takes them. */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { type ColumnBatch, cellReaders } from "../model/columns.ts";
import type { KindName } from "../model/kinds.ts";

/** A statement of so many takes 40 % less time for a row than one of one row; 50 take longer. */
const ROWS_TOGETHER = 20;
/** As in writer.ts: a save is told that often that it gets on. */
const HEARD_ROWS = 100;

interface Insertion {
  series: string[];
  time: string;
  heard(): void;
}

/** A key is stored already, or a trigger ignores the row. */
export class TakenKeyError extends Error {
  override name = "TakenKeyError";
}

/** `(?, ?), (?, ?)` */
export function valuesSql(columns: number, rows: number): string {
  const row = `(${new Array(columns).fill("?").join(", ")})`;
  return new Array(rows).fill(row).join(", ");
}

export class ColumnInserts {
  readonly #db: Database;
  readonly #kind: KindName;
  readonly #sqlOf: (rows: number) => string;
  /** By their rows, made when they are needed. */
  readonly #statements = new Map<number, Statement<unknown, SQLQueryBindings[]>>();

  /** @param sqlOf inserts so many rows; parameters of each: the series, the row, the time. */
  constructor(db: Database, kind: KindName, sqlOf: (rows: number) => string) {
    this.#db = db;
    this.#kind = kind;
    this.#sqlOf = sqlOf;
  }

  /** @throws TakenKeyError a row was not stored. */
  run(batch: ColumnBatch, { series, time, heard }: Insertion): void {
    const cells = cellReaders(this.#kind, batch);
    const rowOf: SQLQueryBindings[] = [...series, ...cells.map(() => null), time];
    const some: SQLQueryBindings[] = Array.from({ length: ROWS_TOGETHER }, () => rowOf).flat();
    for (let row = 0; row < batch.rows; ) {
      if (row % HEARD_ROWS === 0) heard();
      const rows = batch.rows - row < ROWS_TOGETHER ? 1 : ROWS_TOGETHER;
      const values = rows === 1 ? rowOf : some;
      for (let index = 0; index < rows; index++) {
        const first = index * rowOf.length + series.length;
        for (let i = 0; i < cells.length; i++) values[first + i] = cells[i]!(row + index);
      }
      const { changes } = this.#statement(rows).run(...values);
      if (changes !== rows) throw new TakenKeyError(`of ${rows} rows from ${row}, ${changes} are stored`);
      row += rows;
    }
  }

  #statement(rows: number): Statement<unknown, SQLQueryBindings[]> {
    const made = this.#statements.get(rows) ?? this.#db.prepare(this.#sqlOf(rows));
    this.#statements.set(rows, made);
    return made;
  }
}
