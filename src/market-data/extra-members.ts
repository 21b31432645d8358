/** Members of the column `extra` as columns: what feeds send beside the columns of the table. */

import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { isObject, stringifyExact } from "../protocol/json.ts";
import { countData, Dictionary } from "../storage/column-values.ts";
import type { ColumnData, TextColumn } from "../storage/model/columns.ts";
import type { MarketColumn } from "./answer-columns.ts";

/** The texts of a batch. Each is parsed once, when the first column is asked for. */
export class ExtraMembers {
  readonly #data: TextColumn;
  #parsed: (Record<string, unknown> | null)[] | null = null;

  constructor(data: TextColumn) {
    this.#data = data;
  }

  /** Null where no row of the batch has such a member. */
  column({ type, extra }: MarketColumn, rows: number): ColumnData | null {
    const { codes, dictionary, nulls } = this.#data;
    if (extra === undefined || nulls?.includes(0) === false) return null;
    this.#parsed ??= dictionary.map(parsed);
    const found = this.#parsed.map((members) => memberOf(members, extra));
    if (found.every((value) => value === null)) return null;
    const valueAt = (row: number): unknown => (nulls?.[row] === 1 ? null : found[codes[row]!]);
    if (type === "double" || type === "int64") return numbers(type, valueAt, rows);
    return texts(type === "json", found, this.#data, rows);
  }
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = parseAllIntegers(text);
    return isObject(value) ? value : null;
  } catch {
    return null; // another program has stored it
  }
}

function memberOf(members: Record<string, unknown> | null, names: readonly string[]): unknown {
  if (members === null) return null;
  for (const name of names) if (Object.hasOwn(members, name)) return members[name];
  return null;
}

/** Each text of the dictionary is looked at once, however many rows have it. */
function texts(isJson: boolean, found: readonly unknown[], data: TextColumn, rows: number): ColumnData {
  const cells = new Dictionary(found.length);
  const isNone = found.map((value) => value === null || value === undefined);
  for (const [code, value] of found.entries())
    if (!isNone[code]) cells.set(code, isJson || typeof value !== "string" ? stringifyExact(value) : value);
  const { codes: ofFound, dictionary } = cells.data;
  const codes = new Int32Array(rows);
  const nulls = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const code = data.codes[row]!;
    if (data.nulls?.[row] === 1 || isNone[code]) nulls[row] = 1;
    else codes[row] = ofFound[code]!;
  }
  return { type: "text", codes, dictionary, nulls };
}

/** What isn't a number is none. */
function numbers(type: "double" | "int64", valueAt: (row: number) => unknown, rows: number): ColumnData {
  const nulls = new Uint8Array(rows);
  const values = new Float64Array(rows);
  const wide = new Map<number, bigint>();
  for (let row = 0; row < rows; row++) {
    const value = valueAt(row);
    if (typeof value === "bigint") wide.set(row, value);
    else if (typeof value === "number" && Number.isFinite(value)) values[row] = value;
    else nulls[row] = 1;
  }
  if (type === "int64") return countData(values, wide, nulls);
  for (const [row, value] of wide) values[row] = Number(value);
  return { type, values, nulls };
}
