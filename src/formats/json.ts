/**
 * JSON for programs that want objects: `{"bars":{"AAPL":[{…},{…}]}, …}`. Rows with the same text in
 * the column of groups follow each other.
 */
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { jsonCells, jsonNumberCells } from "./json-cells.ts";

/** An object of its own within a row. */
interface JsonObjectMember {
  key: string;
  members: readonly JsonValueMember[];
  /** The column that has a value where the object is there. */
  present: string;
}

export type JsonMember = JsonValueMember | JsonObjectMember;

interface JsonValueMember {
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
  /** A group has one row, which is no list. */
  isSingle?: boolean;
  /** Other members, which are known after the last row. */
  end(): Record<string, unknown>;
}

export class JsonEncoder implements Encoder {
  readonly #form: JsonForm;
  #isBegun = false;
  #group: string | null = null;

  constructor(form: JsonForm) {
    this.#form = form;
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    let text = this.#begin();
    const row = jsonRows(this.#form.members, columns);
    const { codes, dictionary } = columns.get(this.#form.group) as TextColumn;
    if (this.#form.isSingle) {
      for (let at = 0; at < rows; at++) {
        text += `${this.#group === null ? "" : ","}${JSON.stringify(dictionary[codes[at]!])}:${row(at)}`;
        this.#group = "";
      }
      return Buffer.from(text);
    }
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
    return Buffer.from(
      `${begin}${this.#group === null || this.#form.isSingle ? "" : "]"}}${others.join("")}}`,
    );
  }

  #begin(): string {
    if (this.#isBegun) return "";
    this.#isBegun = true;
    return `{${JSON.stringify(this.#form.member)}:{`;
  }
}

/** What gives the rows as objects. */
function jsonRows(members: readonly JsonMember[], columns: ColumnBatch["columns"]): (row: number) => string {
  const keys = members.map(({ key }) => `${JSON.stringify(key)}:`);
  const cells = members.map((member) => {
    if ("members" in member) return jsonRows(member.members, columns);
    const { column, isNumber } = member;
    const data = columns.get(column.name)!;
    return isNumber ? jsonNumberCells(column, data) : jsonCells(column, data);
  });
  /** Where the member may be left out. */
  const nulls = members.map((member) => {
    if ("members" in member) return columns.get(member.present)!.nulls;
    return member.isNullShown ? null : columns.get(member.column.name)!.nulls;
  });
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
