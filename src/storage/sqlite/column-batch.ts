/** Batches of columns out of pages of rows, which are arrays of values. */
import { countData, Dictionary, daysOf, Int64s, StampReader } from "../column-values.ts";
import type { ColumnBatch, ColumnData, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, partName, type RowKind } from "../model/kinds.ts";
import { stampOf, storedValue, wholeNumber } from "./stored-row.ts";

export type Page = unknown[][];

/** Rows that were read, of one series. */
export interface Piece {
  ticker: string;
  part: string | null;
  page: Page;
}

/** @param indexOf the place of a column in a row. @throws TransferRowError */
export function batchOf(
  pieces: Piece[],
  { kind, columns }: Pick<ColumnQuery, "kind" | "columns">,
  indexOf: (column: string) => number,
): ColumnBatch {
  const rows = pieces.reduce((sum, { page }) => sum + page.length, 0);
  const cells = new Cells(kind, pieces, rows);
  return {
    rows,
    columns: new Map(columns.map((column) => [column, cells.data(column, indexOf(column))])),
  };
}

/** What the rows of a batch hold. */
class Cells {
  readonly #name: KindName;
  readonly #kind: RowKind;
  readonly #pieces: Piece[];
  readonly #rows: number;

  constructor(name: KindName, pieces: Piece[], rows: number) {
    this.#name = name;
    this.#kind = kindOf(name);
    this.#pieces = pieces;
    this.#rows = rows;
  }

  data(column: string, index: number): ColumnData {
    const { part, stamp, values } = this.#kind;
    if (column === "ticker") return this.#names((piece) => piece.ticker);
    if (column === part) return this.#names((piece) => piece.part!);
    if (column === stamp.name) return stamp.type === "date" ? this.#dates() : this.#instants();
    if (column === "seq") return this.#seqs(index);
    switch (values.find(({ name }) => name === column)?.type) {
      case "double":
        return this.#doubles(column, index);
      case "count":
        return this.#counts(column, index);
      case "date":
        return this.#dateValues(column, index);
      case "second":
      case "instant":
        return this.#instantValues(column, index);
      default:
        return this.#texts(column, index);
    }
  }

  #names(nameOf: (piece: Piece) => string): ColumnData {
    const texts = new Dictionary(this.#rows);
    let at = 0;
    for (const piece of this.#pieces) {
      texts.fill(nameOf(piece), at, at + piece.page.length);
      at += piece.page.length;
    }
    return { ...texts.data, nulls: null };
  }

  #dates(): ColumnData {
    const values = new Int32Array(this.#rows);
    this.#each(0, (stored, row, at) => {
      values[row] = daysOf(stampOf(stored, this.#kind, this.#where(at)))!;
    });
    return { type: "date", values, nulls: null };
  }

  #instants(): ColumnData {
    const micros = new Int64s(this.#rows);
    const reader = new StampReader();
    // Others than `YYYY-MM-DD HH:MM:SS.ffffff` were written by other programs.
    const isOwn = (text: string): boolean =>
      this.#kind.stamp.type === "instant" || text.length === SECOND_LENGTH;
    this.#each(0, (stored, row, at) => {
      if (typeof stored === "string" && isOwn(stored) && reader.read(stored, micros, row)) return;
      reader.read(stampOf(stored, this.#kind, this.#where(at)), micros, row);
    });
    return { type: "instant", values: micros.values, nulls: null };
  }

  #dateValues(column: string, index: number): ColumnData {
    const values = new Int32Array(this.#rows);
    const nulls = new Nulls(this.#rows);
    this.#each(index, (stored, row, at) => {
      const day = this.#valueOf(column, stored, at);
      if (day === null) nulls.add(row);
      else values[row] = daysOf(String(day))!;
    });
    return { type: "date", values, nulls: nulls.mask };
  }

  #instantValues(column: string, index: number): ColumnData {
    const micros = new Int64s(this.#rows);
    const nulls = new Nulls(this.#rows);
    const reader = new StampReader();
    this.#each(index, (stored, row, at) => {
      const stamp = this.#valueOf(column, stored, at);
      if (stamp === null) nulls.add(row);
      else reader.read(String(stamp), micros, row);
    });
    return { type: "instant", values: micros.values, nulls: nulls.mask };
  }

  #seqs(index: number): ColumnData {
    const seqs = new Int64s(this.#rows);
    this.#each(index, (stored, row, at) => seqs.set(row, wholeNumber(stored, this.#where(at))));
    return { type: "int64", values: seqs.values, nulls: null };
  }

  #doubles(column: string, index: number): ColumnData {
    const values = new Float64Array(this.#rows);
    const nulls = new Nulls(this.#rows);
    this.#each(index, (stored, row, at) => {
      if (typeof stored === "number") values[row] = stored;
      else if (this.#valueOf(column, stored, at) === null) nulls.add(row);
    });
    return { type: "double", values, nulls: nulls.mask };
  }

  #counts(column: string, index: number): ColumnData {
    const values = new Float64Array(this.#rows);
    const nulls = new Nulls(this.#rows);
    const wide = new Map<number, bigint>();
    this.#each(index, (stored, row, at) => {
      if (typeof stored === "number") {
        values[row] = stored;
        return;
      }
      const digits = this.#valueOf(column, stored, at);
      if (digits === null) nulls.add(row);
      else wide.set(row, BigInt(digits));
    });
    return countData(values, wide, nulls.mask);
  }

  #texts(column: string, index: number): ColumnData {
    const texts = new Dictionary(this.#rows);
    const nulls = new Nulls(this.#rows);
    this.#each(index, (stored, row, at) => {
      const text = this.#valueOf(column, stored, at);
      if (text === null) nulls.add(row);
      else texts.set(row, String(text));
    });
    return { ...texts.data, nulls: nulls.mask };
  }

  #valueOf(column: string, stored: unknown, at: PageRow): string | number | null {
    if (stored === null) return null;
    return storedValue(stored, this.#kind.values.find(({ name }) => name === column)!, this.#where(at));
  }

  #each(index: number, take: (stored: unknown, row: number, at: PageRow) => void): void {
    const at: PageRow = { piece: this.#pieces[0]!, index: 0 };
    let row = 0;
    for (const piece of this.#pieces) {
      at.piece = piece;
      for (at.index = 0; at.index < piece.page.length; at.index++)
        take(piece.page[at.index]![index], row++, at);
    }
  }

  /** For messages. */
  #where({ piece: { ticker, part, page }, index }: PageRow): string {
    return `${ticker} ${partName(this.#name, part)} ${page[index]![0]}`;
  }
}

/** Of a row in its page. */
interface PageRow {
  piece: Piece;
  index: number;
}

const SECOND_LENGTH = "2024-01-02 10:00:00".length;

/** Made when the first one comes. */
class Nulls {
  mask: Uint8Array | null = null;
  readonly #rows: number;

  constructor(rows: number) {
    this.#rows = rows;
  }

  add(row: number): void {
    this.mask ??= new Uint8Array(this.#rows);
    this.mask[row] = 1;
  }
}
