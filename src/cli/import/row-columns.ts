/**
 * Files of rows that are neither bars nor ticks: option snapshots, financial figures, corporate
 * actions. Their columns are those of the tables, as an export writes them; each value is read as
 * its column holds it, and nothing is inferred.
 */
import { type FormatType, formatColumns } from "../../formats/format-columns.ts";
import { simplify } from "../../market/column-names.ts";
import { CsvError, type CsvRecord, quote, readNumberField, type SourceField } from "../../market/csv.ts";
import { isNoValue, PLAIN_FORM } from "../../market/number-text.ts";
import { kindOf } from "../../storage/model/kinds.ts";
import type { SourceRow } from "./csv-rows.ts";

export const ROW_KINDS = ["options", "financial", "actions"] as const;
export type RowKindName = (typeof ROW_KINDS)[number];

interface RowColumn {
  name: string;
  /** Of the file. */
  column: string;
  index: number;
  type: FormatType;
}

export interface RowColumns {
  kind: RowKindName;
  /** As an export wrote them, so that texts stay as they are. */
  isExport: boolean;
  tickerIndex: number | null;
  stamp: RowColumn | null;
  values: RowColumn[];
  leftOut: string[];
  /** Fields in a row. */
  width: number;
}

const NUMBER_RULES = { form: PLAIN_FORM, scale: null, isPrice: true, hasNone: false };
const COUNT_RULES = { form: PLAIN_FORM, scale: null, isPrice: false };
const NO_COUNTS = new Map();
/** Other names that saves know. */
const ALIASES: Record<RowKindName, Record<string, string>> = {
  options: { expiration: "expiration_date", strike: "strike_price", type: "option_type" },
  financial: Object.fromEntries(
    kindOf("financial").values.flatMap(({ name, alias }) => (alias === undefined ? [] : [[alias, name]])),
  ),
  actions: {},
};

export function isRowKind(kind: string | null): kind is RowKindName {
  return ROW_KINDS.some((each) => each === kind);
}

/** The kind of which these are all columns, in the order of an export; null: of none. */
export function exportedKind(names: readonly string[]): RowKindName | null {
  const isOf = (kind: RowKindName): boolean => {
    const columns = columnsOf(kind).map(({ name }) => name);
    // Folders of Parquet say the ticker.
    return [columns, columns.slice(1)].some((own) => own.join() === names.join());
  };
  return ROW_KINDS.find(isOf) ?? null;
}

export function rowColumns(
  names: readonly string[],
  kind: RowKindName,
  { tickerIndex, isExport }: { tickerIndex: number | null; isExport: boolean },
): RowColumns {
  const known = columnsOf(kind);
  const aliases = ALIASES[kind];
  const columns = names.flatMap((column, index): RowColumn[] => {
    if (index === tickerIndex) return [];
    const name = aliases[column.trim().toLowerCase()] ?? column;
    const found = known.find((each) => each.name !== "ticker" && simplify(each.name) === simplify(name));
    return found === undefined ? [] : [{ ...found, column, index }];
  });
  const stamp = columns.find(({ name }) => name === kindOf(kind).stamp.name) ?? null;
  const taken = new Set([tickerIndex, ...columns.map(({ index }) => index)]);
  return {
    ...{ kind, isExport, tickerIndex, stamp, width: names.length },
    values: columns.filter((each) => each !== stamp),
    leftOut: names.filter((_, index) => !taken.has(index)),
  };
}

/** @param isText Whether a field without anything in it is no value. @throws CsvError */
export function readRow(columns: RowColumns, row: SourceRow, isText: boolean): CsvRecord {
  const { fields, empties } = row;
  const { stamp, values, width, isExport } = columns;
  if (fields.length !== width)
    throw new CsvError(`expected ${width} fields as in the header, got ${fields.length}`);
  if (stamp === null) throw new CsvError("the file has no column of dates or times");
  const record: CsvRecord = {};
  for (const each of [stamp, ...values]) {
    const field = fields[each.index] ?? null;
    const isNothing = isText && field === "" && empties?.includes(each.index) !== true;
    record[each.name] = isNothing || field === null ? null : readValue(each, field, isExport);
  }
  if (record[stamp.name] === null)
    throw new CsvError(`column ${quote(stamp.column)}: expected a date or time, got nothing`);
  return record;
}

function readValue({ name, type, column }: RowColumn, field: NonNullable<SourceField>, isExport: boolean) {
  switch (type) {
    case "double":
      // A save reads it: 7:1.
      if (name === "ratio" && typeof field === "string" && field.includes(":")) return field.trim();
      return readNumberField(column, field, NUMBER_RULES);
    case "int64":
    case "digits":
      return readNumberField(column, field, COUNT_RULES);
    default: {
      if (typeof field === "object") return JSON.stringify(field);
      const text = String(field);
      return !isExport && isNoValue(text.trim()) ? null : text;
    }
  }
}

function columnsOf(kind: RowKindName): { name: string; type: FormatType }[] {
  return formatColumns(kind, NO_COUNTS);
}
