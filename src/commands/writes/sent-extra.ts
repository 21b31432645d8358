/** The column `extra` of rows that a body brings as columns: see storage/extra-json.ts. */
import type { WireColumn } from "../../formats/sent-table.ts";
import { badRequest } from "../../protocol/errors.ts";
import { parseAllIntegers } from "../../protocol/exact-integers.ts";
import { isObject, type JsonRecord, stringifyExact } from "../../protocol/json.ts";
import { Dictionary } from "../../storage/column-values.ts";
import { extraText } from "../../storage/extra-json.ts";
import type { ColumnData } from "../../storage/model/columns.ts";
import { show } from "../params.ts";
import type { SentColumns } from "./sent-names.ts";
import { eachRow, Nulls, type ReadPlace, valueReader, wrong } from "./sent-values.ts";

type SentMember = SentColumns["members"][number] & {
  at(row: number): unknown;
  /** The format has JSON as texts. */
  isText: boolean;
};

/** Null: no column brings any. @throws RequestError 400 */
export async function readExtra(sent: SentColumns, place: ReadPlace): Promise<ColumnData | null> {
  const members = sent.members.map((member): SentMember => {
    const { column } = member;
    return { ...member, at: valueReader(column), isText: column.cells.form !== "values" };
  });
  const { extra } = sent;
  if (members.length === 0 && extra === null) return null;
  const texts = new Dictionary(place.rows);
  const nulls = new Nulls(place.rows);
  const extraAt = extra === null ? () => null : valueReader(extra);
  // Rows next to each other often have the same.
  let last: unknown[] = [];
  let lastText: string | null = null;
  await eachRow(place.rows, (row) => {
    const values = [extraAt(row), ...members.map(({ at }) => at(row))];
    if (row === 0 || values.some((value, index) => value !== last[index])) {
      lastText = textOf(sent, { members, values, row }, place);
      last = values;
    }
    if (lastText === null) nulls.add(row);
    else texts.set(row, lastText);
  });
  return nulls.found?.includes(0) === false ? null : { ...texts.data, nulls: nulls.found };
}

function textOf(
  { extra }: SentColumns,
  { members, values, row }: { members: SentMember[]; values: unknown[]; row: number },
  place: ReadPlace,
): string | null {
  const [object, ...own] = values;
  // So that every name is that of a member, also `__proto__`.
  const record = Object.create(null) as JsonRecord;
  if (extra !== null) for (const [name, value] of objectOf(extra, object, row, place)) record[name] = value;
  for (const [index, member] of members.entries()) {
    const value = member.isText && member.isJson ? jsonOf(own[index]) : own[index];
    if (value === null || value === undefined) continue;
    if (typeof value === "number" && !Number.isFinite(value)) continue;
    const known = [member.name, ...member.aliases].find((name) => name in record);
    if (known === undefined) record[member.name] = value;
    else if (asText(record[known]) !== asText(value))
      throw badRequest(
        `${place.placeOf(row)}.${member.column.name}: got ${show(value)}, and ${show(record[known])} as ${show(known)} in "extra"; expected one of them`,
      );
  }
  try {
    return extraText(record);
  } catch (error) {
    // A text can be parsed and still be nested too deeply to be written again.
    if (error instanceof RangeError) throw badRequest(`${place.placeOf(row)}: a value is nested too deeply`);
    throw error;
  }
}

function objectOf(column: WireColumn, value: unknown, row: number, place: ReadPlace): [string, unknown][] {
  if (value === null || value === undefined) return [];
  const object = typeof value === "string" ? jsonOf(value) : value;
  if (!isObject(object)) throw wrong(column, row, place, "a JSON object, or null");
  return Object.entries(object).filter(([, member]) => member !== null);
}

/** The value of a JSON text; another text is itself. */
function jsonOf(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return parseAllIntegers(value);
  } catch {
    return value;
  }
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : stringifyExact(value);
}
