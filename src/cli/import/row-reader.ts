/** Turns the rows of a prepared file into records and their tickers. */
import { numberColumns, simplify } from "../../market/column-names.ts";
import { CsvError, type CsvRecord, isBars, quote, readRecord } from "../../market/csv.ts";
import type { Row } from "./csv-rows.ts";
import type { PreparedFile } from "./prepare.ts";

export interface ReadRow {
  ticker: string;
  record: CsvRecord;
}

/** @returns a function that throws CsvError for a row that can't be read. */
export function rowReader(file: PreparedFile): (row: Row) => ReadRow {
  const { layout, ticker: fixed, tickerInFile } = file;
  const { plan, tickerIndex, kind } = layout;
  const rules = layout.rules();
  const isTick = !isBars(kind);
  const column = tickerIndex === null ? "" : layout.header.names[tickerIndex]!;

  const tickerOf = (row: Row): string => {
    if (tickerIndex === null) return fixed!;
    const named = String(row.fields[tickerIndex] ?? "").trim();
    if (fixed === null) {
      if (named === "") throw new CsvError(`column ${quote(column)}: expected a ticker, got nothing`);
      return named;
    }
    if (named === tickerInFile || named === "") return fixed;
    throw new CsvError(
      `column ${quote(column)} names ${quote(named)} in a file of ${tickerInFile ?? fixed}, whose rows are stored as ${fixed}`,
    );
  };

  return (row) => {
    const ticker = tickerOf(row);
    const record = readRecord(plan, row.fields, rules, ticker);
    // A tick always has a size, if only null.
    if (isTick) record.size ??= null;
    if (row.more !== undefined) addLate(record, row.more, kind);
    return { ticker, record };
  };
}

/** Members that came up after the columns were decided may not be one of them by another name. */
function addLate(
  record: CsvRecord,
  more: NonNullable<Row["more"]>,
  kind: Parameters<typeof numberColumns>[0],
): void {
  for (const [name, value] of Object.entries(more)) {
    const known = numberColumns(kind).find((each) => each.known.includes(simplify(name)));
    if (known !== undefined && record[known.name] === undefined) {
      throw new CsvError(
        `${quote(name)} comes up here for the first time: expected every column in the first rows, or --column ${known.name}=NAME`,
      );
    }
    if (!Object.hasOwn(record, name)) record[name] = value;
  }
}
