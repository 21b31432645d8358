/** A JSON object a line. Integers of 64 bits have all their digits. */
import type { ColumnBatch } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { JSON_FORM } from "./json-cells.ts";
import { TextBytes } from "./text-bytes.ts";
import { cellWriter } from "./text-cells.ts";

const ROW_END = Buffer.from("}\n");

export class NdjsonEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  /** What stands before each value of a row. */
  readonly #keys: Uint8Array[];
  readonly #out = new TextBytes();

  constructor(columns: readonly FormatColumn[]) {
    this.#columns = columns;
    this.#keys = columns.map(({ name }, index) =>
      Buffer.from(`${index === 0 ? "{" : ","}${JSON.stringify(name)}:`),
    );
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const out = this.#out;
    const cells = this.#columns.map((column) =>
      cellWriter(column, columns.get(column.name)!, JSON_FORM, out),
    );
    const keys = this.#keys;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < cells.length; column++) {
        out.put(keys[column]!);
        cells[column]!(row);
      }
      out.put(ROW_END);
    }
    return out.take();
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}
