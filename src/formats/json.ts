/**
 * JSON for programs that want objects: `{"bars":{"AAPL":[{…},{…}]}, …}`. Rows with the same text in
 * the column of groups follow each other.
 */
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { jsonCells, jsonNumberCells } from "./json-cells.ts";

export interface JsonMember {
  /** In a row. */
  key: string;
  /** The column of that name. */
  column: FormatColumn;
  /** Null: the row has it all the same. Else it is left out. */
  isNullShown: boolean;
  /** A text of digits is written as the number that it is. */
  isNumber?: boolean;
}

export interface JsonForm {
  /** Of all groups. */
  member: string;
  /** The column whose text groups rows. */
  group: string;
  members: readonly JsonMember[];
  /** Other members, which are known after the last row. */
  end(): Record<string, unknown>;
}

export class JsonEncoder implements Encoder {
  readonly #form: JsonForm;
  /** What stands before each value of a row, where it isn't the first. */
  readonly #keys: string[];
  #isBegun = false;
  #group: string | null = null;

  constructor(form: JsonForm) {
    this.#form = form;
    this.#keys = form.members.map(({ key }) => `${JSON.stringify(key)}:`);
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    let text = this.#begin();
    const row = this.#rowTexts(columns);
    const { codes, dictionary } = columns.get(this.#form.group) as TextColumn;
    for (let at = 0; at < rows; ) {
      const code = codes[at]!;
      const group = dictionary[code]!;
      if (group !== this.#group) {
        text += `${this.#group === null ? "" : "],"}${JSON.stringify(group)}:[${row(at++)}`;
        this.#group = group;
      }
      for (; at < rows && codes[at] === code; at++) text += `,${row(at)}`;
    }
    return Buffer.from(text);
  }

  end(): Uint8Array {
    const begin = this.#begin();
    const members = Object.entries(this.#form.end());
    const others = members.map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`);
    return Buffer.from(`${begin}${this.#group === null ? "" : "]"}}${others.join("")}}`);
  }

  #begin(): string {
    if (this.#isBegun) return "";
    this.#isBegun = true;
    return `{${JSON.stringify(this.#form.member)}:{`;
  }

  #rowTexts(columns: ColumnBatch["columns"]): (row: number) => string {
    const keys = this.#keys;
    const cells = this.#form.members.map(({ column, isNumber }) => {
      const data = columns.get(column.name)!;
      return isNumber ? jsonNumberCells(column, data) : jsonCells(column, data);
    });
    /** Where the member may be left out. */
    const nulls = this.#form.members.map(({ column, isNullShown }) =>
      isNullShown ? null : columns.get(column.name)!.nulls,
    );
    // Most members have no value in any row, or one in every row.
    const shown = cells.flatMap((_, index) => (nulls[index]?.includes(0) === false ? [] : [index]));
    return (row) => {
      let text = "";
      for (const index of shown) {
        if (nulls[index]?.[row] === 1) continue;
        text += (text === "" ? "{" : ",") + keys[index]! + cells[index]!(row);
      }
      return text === "" ? "{}" : `${text}}`;
    };
  }
}
