/**
 * Types of the columns for volumes and sizes. A column is BIGINT until a save brings a count that
 * isn't whole. It then becomes DOUBLE, or DECIMAL(38,18) if it holds an integer that no double
 * equals. A cast rounds silently, so values are checked first.
 */
import type { Count } from "../contract.ts";
import type { Session } from "./session.ts";

/** In order of preference. With 18 decimals, 64-bit integers still fit. */
export const WIDE_TYPES = ["DOUBLE", "DECIMAL(38,18)"] as const;
export type WideType = (typeof WIDE_TYPES)[number];

const INT64_END = 2 ** 63;

/** Whether a column of the type returns the count unchanged, as far as DuckDB doesn't refuse it. */
export function holds(type: string, count: Count | null): boolean {
  if (count === null) return true;
  if (type.includes("INT"))
    return typeof count === "string" || (Number.isInteger(count) && count >= -INT64_END && count < INT64_END);
  if (type === "DOUBLE") return typeof count === "number" || isDouble(count);
  if (type === "FLOAT")
    return Math.fround(Number(count)) === Number(count) && (typeof count === "number" || isDouble(count));
  const scale = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type);
  if (scale === null || typeof count === "string") return true;
  const [width, decimals] = [Number(scale[1]), Number(scale[2])];
  return Math.abs(count) < 10 ** (width - decimals) && Number(count.toFixed(decimals)) === count;
}

function isDouble(digits: string): boolean {
  return BigInt(Number(digits)) === BigInt(digits);
}

/** A stored value, as text, that the other type can't hold exactly; null: none. */
export async function findMisfit(
  session: Session,
  { table, column, from, to }: { table: string; column: string; from: string; to: WideType },
): Promise<string | null> {
  const misfit = to === "DOUBLE" ? misfitOfDouble(column, from) : misfitOfDecimal(column, from, to);
  const rows = await session.rows(
    `SELECT ${column}::VARCHAR FROM ${table} WHERE ${column} IS NOT NULL AND (${misfit}) LIMIT 1`,
  );
  return rows.length === 0 ? null : String(rows[0]![0]);
}

/** SQL. DuckDB's own cast from DECIMAL to DOUBLE misses the last bit of some values. */
export function converted(column: string, from: string, to: string): string {
  if (to === "DOUBLE") return asDouble(column, from);
  if (to.startsWith("DECIMAL")) return asDecimal(column, from, to);
  return column;
}

function misfitOfDouble(column: string, from: string): string {
  const double = asDouble(column, from);
  if (isFloating(from)) return "false";
  if (from.includes("INT")) return `TRY_CAST(${double} AS HUGEINT) IS DISTINCT FROM ${column}::HUGEINT`;
  if (from.startsWith("DECIMAL")) return `${decimalOf(double, from)} IS DISTINCT FROM ${column}`;
  return `${double} = trunc(${double}) AND TRY_CAST(${double} AS HUGEINT) IS DISTINCT FROM TRY_CAST(${column} AS HUGEINT)`;
}

function misfitOfDecimal(column: string, from: string, to: WideType): string {
  const decimal = asDecimal(column, from, to);
  if (from.includes("INT")) return `${decimal} IS NULL`;
  if (from.startsWith("DECIMAL")) return `TRY_CAST(${decimal} AS ${from}) IS DISTINCT FROM ${column}`;
  return `TRY_CAST(${decimal}::VARCHAR AS DOUBLE) IS DISTINCT FROM ${asDouble(column, from)}`;
}

/** Gives null for text that is no number. */
function asDouble(column: string, from: string): string {
  return from.includes("INT") || isFloating(from)
    ? `${column}::DOUBLE`
    : `TRY_CAST(${column}::VARCHAR AS DOUBLE)`;
}

function asDecimal(column: string, from: string, to: string): string {
  return isFloating(from) ? decimalOf(`${column}::DOUBLE`, to) : `TRY_CAST(${column} AS ${to})`;
}

/** The shortest decimal that gives the double again. Rounded or null if the type has no room. */
function decimalOf(double: string, type: string): string {
  return `CASE WHEN ${double} = trunc(${double}) THEN TRY_CAST(TRY_CAST(${double} AS HUGEINT) AS ${type})
    ELSE TRY_CAST(${double}::VARCHAR AS ${type}) END`;
}

function isFloating(type: string): boolean {
  return type === "DOUBLE" || type === "FLOAT";
}
