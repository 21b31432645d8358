/** execute_sql, and the same over GET: one statement of the user. */
import { badRequest } from "../protocol/errors.ts";
import { parseExactIntegers } from "../protocol/exact-integers.ts";
import { type QueryType, type SqlRequest, wrapAnswer } from "../sql/execute.ts";
import { readSqlParams } from "../sql/read-params.ts";
import type { Answer, Command, CommandCall, CommandContext } from "./context.ts";
import { isMissing, show } from "./params.ts";
import { refuseWarnings, unknownInQuery, withWarnings } from "./warnings.ts";

/** About 40,000 rows of an INSERT. PostgreSQL's parser takes less. */
const SQL_CHARACTERS_MAX = 2_000_000;
const QUERY_NAMES = ["sql", "sql_query", "query_type", "query_params", "strict"];

export const executeSqlCommand: Command = {
  name: "execute_sql",
  scope: "sql",
  about: "Runs one SQL statement; `select` on a read-only connection.",
  params: ["sql_query", "query_type", "query_params"],
  async run({ params, signal, client, demand }, context) {
    const { sql_query: sql, query_type: queryType, query_params: list } = params;
    if (isMissing(sql) || isMissing(queryType))
      throw badRequest("Missing 'sql_query' or 'query_type' for execute_sql");
    if (queryType !== "select" && queryType !== "raw") {
      throw badRequest("Invalid 'query_type'. Must be 'select' or 'raw'.", `got ${show(queryType)}`);
    }
    if (queryType === "raw") demand("sql:write");
    if (typeof sql !== "string") throw badRequest(`sql_query: got ${show(sql)}, expected text`);
    checkSqlLength(sql);
    const sqlParams = readSqlParams(list ?? []);
    const request: SqlRequest = { sql, params: sqlParams, queryType, allowWrite: true, signal, client };
    const answer = await context.executeSql(request);
    return wrapAnswer(queryType, answer);
  },
};

/**
 * Reads `?sql=` or `?sql_query=`, `query_type`, and `query_params` as a JSON list. Never writes, as
 * any web page can make a browser send this.
 */
export async function sqlOverGet(
  query: URLSearchParams,
  { signal, client }: Pick<CommandCall, "signal" | "client">,
  context: CommandContext,
): Promise<Answer> {
  const sql = query.get("sql") || query.get("sql_query");
  if (!sql) throw badRequest("Missing required parameter 'sql' or 'sql_query'");
  checkSqlLength(sql);
  const queryType = (query.get("query_type") ?? "select").toLowerCase();
  if (queryType !== "select" && queryType !== "raw") {
    throw badRequest("Invalid 'query_type'. Must be 'select' or 'raw'.", `got ${show(queryType)}`);
  }
  const params = readSqlParams(readSqlParamsText(query.get("query_params")));
  const warnings = unknownInQuery("a URL with SQL", query, QUERY_NAMES);
  if (warnings.length > 0 && query.get("strict") === "true") throw refuseWarnings(warnings);
  const answer = await context.executeSql({
    sql,
    params,
    queryType: queryType satisfies QueryType,
    allowWrite: false,
    signal,
    client,
  });
  const body = wrapAnswer(queryType, answer);
  return warnings.length === 0 ? body : withWarnings(body, warnings);
}

export function checkSqlLength(sql: string): void {
  if (sql.length <= SQL_CHARACTERS_MAX) return;
  throw badRequest(
    `execute_sql: the SQL has ${sql.length} characters, at most ${SQL_CHARACTERS_MAX} are allowed; give values as query_params`,
  );
}

export function readSqlParamsText(text: string | null): unknown {
  if (text === null || text === "") return [];
  let list: unknown;
  try {
    list = parseExactIntegers(text);
  } catch (error) {
    throw badRequest(`Invalid JSON in 'query_params': ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw badRequest("'query_params' must be a JSON array");
  return list;
}
