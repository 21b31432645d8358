/** A reading statement of the user: see docs/sql.md. */
import { z } from "zod";
import { wrapAnswer } from "../../sql/execute.ts";
import { readSqlParams } from "../../sql/read-params.ts";
import type { Answer, CommandCall, CommandContext } from "../context.ts";
import { checkSqlLength, readSqlParamsText } from "../execute-sql.ts";
import * as p from "./parameters.ts";

export const SQL_PARAMETERS = z.object({
  sql: p.text({
    description: "One statement that reads.",
    expected: "an SQL statement",
    example: "SELECT count(*) AS bars FROM daily_prices",
  }),
  params: p.sqlParams.optional(),
});

/** Changes nothing, and is bound by --sql; a GET by --sql-get too. */
export async function sqlAnswer(
  { sql, params }: z.output<typeof SQL_PARAMETERS>,
  { isPost, signal, client }: { isPost: boolean } & Pick<CommandCall, "signal" | "client">,
  context: CommandContext,
): Promise<Answer> {
  checkSqlLength(sql);
  const list = readSqlParams(typeof params === "string" ? readSqlParamsText(params) : (params ?? []));
  const answer = await context.executeSql({
    ...{ sql, params: list, queryType: "select", allowWrite: isPost, signal, client },
  });
  return wrapAnswer("select", answer);
}
