/** Pieces of SQL that several statements share. */
import { type ColumnType, type RowKind, type SeriesRow, seriesColumns } from "../model/kinds.ts";
import { countOf, seqOf, storedStamp } from "../transfer-rows.ts";

/** Every stamp that a command can store lies between the two. Ranges without an end use them. */
export const FIRST_DAY = "0001-01-01";
const LAST_DAY = "9999-12-31";

/** `YYYY-MM-DD HH:MM:SS` and the digits of a fraction other than 0, in any session's time zone. */
export function utcText(column: string): string {
  return `(${column} AT TIME ZONE 'UTC')::text`;
}

/** Without a zone, a parameter would get that of the session. */
export function asInstant(stamp: string): string {
  return `${stamp}+00`;
}

/**
 * `YYYY-MM-DD HH:MM:SS.ffffff`; also of a column without a time zone, which that of the session,
 * UTC, gets.
 */
export function microseconds(column: string): string {
  const text = utcText(`${column}::timestamptz`);
  return `rpad(${text} || CASE WHEN ${text} LIKE '%.%' THEN '' ELSE '.' END, 26, '0')`;
}

/** For statements that take no parameters. The text comes from PostgreSQL, never from a client. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Any text as a constant, whatever the session's settings say of backslashes. */
export function anyLiteral(text: string): string {
  return `E${literal(text.replaceAll("\\", "\\\\"))}`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Columns with names that SQL reserves. */
const WORDS = new Set(["timestamp", "interval"]);

export function columnSql(name: string): string {
  return WORDS.has(name) ? identifier(name) : name;
}

/** The parameters stand in the order of the series' columns. @param alias of the table. */
export function isSeries(kind: RowKind, alias: string): string {
  return seriesColumns(kind)
    .map((name, index) => `${alias}.${columnSql(name)} = $${index + 1}`)
    .join(" AND ");
}

/** The types of parameters, and of casts. Of an older server, a count is bigint as stored. */
export const SQL_TYPES: Record<ColumnType | "seq", string> = {
  text: "text",
  json: "text",
  double: "float8",
  count: "numeric",
  date: "date",
  second: "timestamptz",
  instant: "timestamptz",
  seq: "int8",
};

/** @param text null: the first or the last stamp that can be stored. */
export function stampParam({ stamp }: RowKind, text: string | null, edge: "first" | "last"): string {
  const day = edge === "first" ? FIRST_DAY : LAST_DAY;
  if (stamp.type === "date") return text ?? day;
  return asInstant(text ?? `${day} ${edge === "first" ? "00:00:00" : "23:59:59.999999"}`);
}

/** A value, with a cast, as it is compared with its column. */
export function valueParam(type: ColumnType, value: string | number): string {
  return type === "second" || type === "instant" ? asInstant(String(value)) : String(value);
}

/** The columns of table `p` that `storedRow` takes. */
export function rowCells({ stamp, values, hasSeq }: RowKind): string[] {
  const at = `p.${columnSql(stamp.name)}`;
  return [
    stamp.type === "date" ? `${at}::text` : microseconds(at),
    ...values.map(({ name, type }) => {
      if (type === "second" || type === "instant") return microseconds(`p.${name}`);
      return type === "double" ? `p.${name}::double precision` : `p.${name}::text`;
    }),
    ...(hasSeq ? ["p.seq::text"] : []),
  ];
}

/** @param cells of `rowCells`. @throws TransferRowError */
export function storedRow(cells: (string | number | null)[], kind: RowKind, series: string): SeriesRow {
  const stamp = String(cells[0]);
  const row: SeriesRow = [storedStamp(stamp, kind, series)];
  for (const [index, { type }] of kind.values.entries()) {
    const cell = cells[index + 1] ?? null;
    row.push(type === "count" ? countOf(cell as string | null, `${series} ${stamp}`) : cell);
  }
  if (kind.hasSeq) row.push(seqOf(cells.at(-1)!, `${series} ${stamp}`));
  return row;
}
