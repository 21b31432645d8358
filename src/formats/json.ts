/**
 * JSON for programs that want objects: `{"bars":{"AAPL":[{…},{…}]}, …}`. Rows with the same text in
 * the column of groups follow each other.
 */
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { JSON_FORM, JSON_NUMBER_FORM } from "./json-cells.ts";
import { TextBytes } from "./text-bytes.ts";
import { type CellWriter, cellWriter } from "./text-cells.ts";

/** An object of its own within a row. */
interface JsonObjectMember {
  key: string;
  members: readonly JsonValueMember[];
  /** The object is there where one of these columns has a value. */
  present: readonly string[];
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
  /** The column whose text groups rows; null: they are one list. */
  group: string | null;
  members: readonly JsonMember[];
  /** A group has one row, which is no list. */
  isSingle?: boolean;
  /** Other members, which are known after the last row. */
  end(): Record<string, unknown>;
}

const COMMA = Buffer.from(",");
const END = Buffer.from("}");
const EMPTY = Buffer.from("{}");

export class JsonEncoder implements Encoder {
  readonly #form: JsonForm;
  readonly #out = new TextBytes();
  #isBegun = false;
  #group: string | null = null;

  constructor(form: JsonForm) {
    this.#form = form;
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const out = this.#out;
    out.text(this.#begin());
    const { members, group, isSingle } = this.#form;
    const write = rowWriter(members, columns, out);
    if (group === null) {
      this.#list(rows, write);
      return out.take();
    }
    const { codes, dictionary } = columns.get(group) as TextColumn;
    for (let row = 0; row < rows; row++) {
      const text = dictionary[codes[row]!]!;
      if (isSingle || text !== this.#group) {
        const end = this.#group === null ? "" : isSingle ? "," : "],";
        out.text(`${end}${JSON.stringify(text)}:${isSingle ? "" : "["}`);
        this.#group = text;
      } else out.put(COMMA);
      write(row);
    }
    return out.take();
  }

  end(): Uint8Array {
    const begin = this.#begin();
    const members = Object.entries(this.#form.end());
    const others = members.map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`);
    return Buffer.from(`${begin}${this.#closing()}${others.join("")}}`);
  }

  /** Rows that stand in one list. */
  #list(rows: number, write: CellWriter): void {
    for (let row = 0; row < rows; row++) {
      if (this.#group !== null) this.#out.put(COMMA);
      this.#group = "";
      write(row);
    }
  }

  #closing(): string {
    const { group, isSingle } = this.#form;
    if (group === null) return "]";
    return this.#group === null || isSingle ? "}" : "]}";
  }

  #begin(): string {
    if (this.#isBegun) return "";
    this.#isBegun = true;
    return `{${JSON.stringify(this.#form.member)}:${this.#form.group === null ? "[" : "{"}`;
  }
}

/** Where none of them has a value; null: in every row one has. */
function nullsOfAll(masks: readonly (Uint8Array | null)[]): Uint8Array | null {
  if (masks.includes(null)) return null;
  const [first, ...others] = masks as Uint8Array[];
  return others.reduce((nulls, mask) => nulls.map((isNull, row) => isNull & mask[row]!), first!);
}

/** What writes the rows as objects. */
function rowWriter(
  members: readonly JsonMember[],
  columns: ColumnBatch["columns"],
  out: TextBytes,
): CellWriter {
  const written = members.flatMap((member) => {
    const isObject = "members" in member;
    const nulls = isObject
      ? nullsOfAll(member.present.map((name) => columns.get(name)!.nulls))
      : member.isNullShown
        ? null
        : columns.get(member.column.name)!.nulls;
    // Most members have no value in any row, or one in every row.
    if (nulls?.includes(0) === false) return [];
    const data = isObject ? null : columns.get(member.column.name)!;
    const form = !isObject && member.isNumber ? JSON_NUMBER_FORM : JSON_FORM;
    const write = isObject
      ? rowWriter(member.members, columns, out)
      : cellWriter(member.column, data!, form, out);
    const key = `${JSON.stringify(member.key)}:`;
    return [{ nulls, write, first: Buffer.from(`{${key}`), later: Buffer.from(`,${key}`) }];
  });
  return (row) => {
    let isFirst = true;
    for (let at = 0; at < written.length; at++) {
      const { nulls, write, first, later } = written[at]!;
      if (nulls !== null && nulls[row] === 1) continue;
      out.put(isFirst ? first : later);
      isFirst = false;
      write(row);
    }
    out.put(isFirst ? EMPTY : END);
  };
}
