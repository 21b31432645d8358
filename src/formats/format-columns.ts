/** The columns of a file: what each is called, and what a format makes of it. */
import { typeOfColumn } from "../storage/column-cells.ts";
import { rowColumnNames } from "../storage/model/columns.ts";
import { type KindName, kindOf, seriesColumns } from "../storage/model/kinds.ts";

/**
 * - `name`: a ticker or a part: few texts, each in many rows.
 * - `json`: the text of a JSON value.
 * - `second`, `instant`: a stamp without its fraction, or in microseconds.
 */
export type FormatType = "name" | "text" | "json" | "double" | CountType | "date" | "second" | "instant";

/**
 * What a count is in a file whose columns have one type each. `digits` is a text, for counts of
 * which no other type holds all.
 */
export type CountType = "int64" | "double" | "digits";

export interface FormatColumn {
  name: string;
  type: FormatType;
  /** Of stamps: the IANA name of the zone in which they are shown. Absent: UTC. */
  zone?: string;
}

/** Types of the counts of a kind; those that it doesn't name are integers. */
export type FileCountTypes = ReadonlyMap<string, CountType>;

/** The columns of the kind: those that name its series, the stamp, the values and what follows. */
export function formatColumns(name: KindName, counts: FileCountTypes): FormatColumn[] {
  const kind = kindOf(name);
  const [stamp, ...values] = rowColumnNames(name);
  return ["ticker", stamp!, ...nameColumns(name), ...values].map((column): FormatColumn => {
    if (column === kind.part && !hasFewParts(name)) return { name: column, type: "text" };
    if (column === "ticker" || nameColumns(name).includes(column)) return { name: column, type: "name" };
    const type = typeOfColumn(kind, column);
    if (type === "count" || type === "seq") return { name: column, type: counts.get(column) ?? "int64" };
    return { name: column, type };
  });
}

/** Lengths of bars and types of ticks: a part is worth a folder, and a line in a summary. */
export function hasFewParts(name: KindName): boolean {
  const { noun, part } = kindOf(name);
  return part !== null && (noun === "bars" || noun === "ticks");
}

/** Beside the ticker: the part, and for bars without parts their length, which is the kind. */
function nameColumns(name: KindName): string[] {
  const constant = constantName(name);
  const { part } = kindOf(name);
  return [...(part === null ? [] : [part]), ...(constant === null ? [] : [constant.column])];
}

/**
 * A column that has the same text in all rows of the kind, and that no table has: it tells bars of
 * one length from those of another.
 */
export function constantName(name: KindName): { column: string; text: string } | null {
  const { noun, part, wire } = kindOf(name);
  if (noun !== "bars" || part !== null || wire.part === null) return null;
  return { column: wire.part, text: name };
}

/** What a reader is asked for. */
export function readColumnNames(name: KindName): string[] {
  return [...seriesColumns(kindOf(name)), ...rowColumnNames(name)];
}
