/** `query_params`: nothing but plain values. */
import { badRequest } from "../protocol/errors.ts";
import type { SqlParam } from "../storage/user-sql-contract.ts";

/** @throws RequestError 400 naming the position, from 1 as SQLite counts. */
export function readSqlParams(list: unknown): SqlParam[] {
  if (!Array.isArray(list)) throw badRequest("'query_params' must be a list or tuple.");
  return list.map((value: unknown, i) => {
    if (typeof value === "bigint" && BigInt.asIntN(64, value) !== value) return Number(value);
    if (isSqlParam(value)) return value;
    throw badRequest(
      `execute_sql: parameter ${i + 1} must be null, text, a number or a boolean, got ${Array.isArray(value) ? "a list" : "an object"}`,
    );
  });
}

function isSqlParam(value: unknown): value is SqlParam {
  return value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);
}
