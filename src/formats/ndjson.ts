/** A JSON object a line. Integers of 64 bits have all their digits. */
import type { ColumnBatch } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { jsonCells } from "./json-cells.ts";

export class NdjsonEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  /** What stands before each value of a row. */
  readonly #keys: string[];

  constructor(columns: readonly FormatColumn[]) {
    this.#columns = columns;
    this.#keys = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const cells = this.#columns.map((column) => jsonCells(column, columns.get(column.name)!));
    const keys = this.#keys;
    let text = "";
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < cells.length; column++) text += keys[column]! + cells[column]!(row);
      text += "}\n";
    }
    return Buffer.from(text);
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}
