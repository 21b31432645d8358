/**
 * JSON with a list for each column: `{"columns":{"symbol":[…],"close":[…]}, …}`. What comes first
 * is the whole of a column, so all rows are gathered, as text.
 */
import type { ColumnBatch } from "../storage/model/columns.ts";
import { type Encoder, FormatError } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { JSON_FORM } from "./json-cells.ts";
import { TextBytes } from "./text-bytes.ts";
import { cellWriter } from "./text-cells.ts";

/** Some 60 MB of text. */
export const JSON_COLUMNS_ROWS_MAX = 500_000;

const COMMA = Buffer.from(",");

export class JsonColumnsEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  readonly #end: () => Record<string, unknown>;
  readonly #texts: Uint8Array[][];
  readonly #out = new TextBytes();
  #rows = 0;

  /** @param end other members, which are known after the last row. */
  constructor(columns: readonly FormatColumn[], end: () => Record<string, unknown>) {
    this.#columns = columns;
    this.#end = end;
    this.#texts = columns.map(() => []);
  }

  /** @throws FormatError there are too many rows. */
  encode({ rows, columns }: ColumnBatch): Uint8Array {
    if (rows > 0) {
      if (this.#rows + rows > JSON_COLUMNS_ROWS_MAX)
        throw new FormatError(
          `there are more than ${JSON_COLUMNS_ROWS_MAX} rows, expected at most so many; give a limit, or another format`,
        );
      for (const [index, column] of this.#columns.entries()) {
        const out = this.#out;
        const write = cellWriter(column, columns.get(column.name)!, JSON_FORM, out);
        for (let row = 0; row < rows; row++) {
          if (row > 0 || this.#rows > 0) out.put(COMMA);
          write(row);
        }
        this.#texts[index]!.push(out.take());
      }
      this.#rows += rows;
    }
    return new Uint8Array(0);
  }

  end(): Uint8Array {
    const pieces = this.#columns.flatMap(({ name }, index) => [
      Buffer.from(`${index === 0 ? '{"columns":{' : ","}${JSON.stringify(name)}:[`),
      ...this.#texts[index]!,
      Buffer.from("]"),
    ]);
    const others = Object.entries(this.#end()).map(
      ([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`,
    );
    return Buffer.concat([...pieces, Buffer.from(`}${others.join("")}}`)]);
  }
}
