/**
 * The operator's permissions for clients: `--sql`, `--sql-get` and `--read-only`. They bind POST,
 * GET and servers in front of this one, on every engine.
 */
import type { Settings } from "../config/settings.ts";
import { forbidden } from "../protocol/errors.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { CommandContext } from "./context.ts";

export type Permissions = Pick<Settings, "sql" | "sqlGet" | "readOnly">;

/** @returns a context that refuses `save` and `executeSql` with 403 where they are forbidden. */
export function withPermissions(context: CommandContext, permissions: Permissions): CommandContext {
  const refuse = (what: string) => async (): Promise<never> => {
    throw forbidden(`${what}: the server is read-only (--read-only)`);
  };
  return {
    ...context,
    ...(permissions.readOnly
      ? {
          save: refuse("save"),
          saveTogether: context.saveTogether === null ? null : refuse("save"),
          edit: refuse("edit"),
          removeCheck: refuse("remove_check"),
        }
      : {}),
    executeSql: async (request) => {
      refuseSql(request, permissions);
      return await context.executeSql(request);
    },
  };
}

function refuseSql({ queryType, allowWrite }: SqlRequest, { sql, sqlGet, readOnly }: Permissions): void {
  if (sql === "off") throw forbidden("execute_sql: SQL is turned off on this server (--sql off)");
  if (!allowWrite && !sqlGet)
    throw forbidden("execute_sql: SQL by GET is turned off on this server (--sql-get off)", {
      hint: "send it by POST /db_command",
    });
  if (queryType !== "raw") return;
  if (readOnly)
    throw forbidden("execute_sql: query_type 'raw' is refused, the server is read-only (--read-only)");
  if (sql !== "raw")
    throw forbidden(`execute_sql: query_type 'raw' is refused by this server (--sql ${sql})`, {
      hint: "query_type 'select' reads; --sql raw on the server's command line lets clients write",
    });
}
