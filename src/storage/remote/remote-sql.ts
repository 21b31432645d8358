/** Lets the upstream run SQL of users. */
import { stringifyExact } from "../../protocol/json.ts";
import type { UpstreamSql } from "../engine.ts";
import type { SqlAnswer, SqlParam } from "../user-sql-contract.ts";
import { readSqlRows } from "./answers.ts";
import type { Upstream } from "./upstream.ts";

/** Added to the limit, so that the upstream's own error comes first: it says more. */
const TIMEOUT_SLACK_MS = 1_000;

/**
 * When the client leaves or the time is over, the connection closes, and the upstream stops the
 * statement.
 *
 * @throws RequestError as Upstream.ask. The outcome of a `raw` statement without an answer is
 *   unknown.
 */
export function runRemoteSql(
  upstream: Upstream,
  request: UpstreamSql,
  timeoutMs: number,
): Promise<SqlAnswer> {
  const { sql, params, queryType, allowWrite, signal } = request;
  const mayWrite = queryType === "raw" && allowWrite;
  return upstream.ask(
    {
      what: "execute_sql",
      ...(allowWrite ? byPost(sql, params, queryType) : byGet(sql, params, queryType)),
      repeatable: !mayWrite,
      effect: mayWrite ? "; whether it changed anything is unknown" : "",
      long: true,
      timeoutMs: timeoutMs + TIMEOUT_SLACK_MS,
      signal,
    },
    readSqlRows,
  );
}

function byPost(sql: string, params: SqlParam[], queryType: string) {
  const command = {
    command: "execute_sql",
    params: { sql_query: sql, query_type: queryType, query_params: params },
  };
  return { path: "/db_command", body: stringifyExact(command) };
}

/** The upstream itself refuses to write by GET. */
function byGet(sql: string, params: SqlParam[], queryType: string) {
  const query = new URLSearchParams({ sql, query_type: queryType, query_params: stringifyExact(params) });
  return { path: `/api/execute_sql?${query}`, body: null };
}
