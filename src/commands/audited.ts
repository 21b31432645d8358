/** Commands whose doing is told to the audit: what changes more than rows that a feed brings. */
import type { AuditLog } from "../observe/audit-log.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import type { CheckTickers, CommandContext } from "./context.ts";

interface Doer {
  who: string;
  from: string;
}

/** The same context. A refusal is told by the router, which knows those of all doors. */
export function audited(context: CommandContext, audit: AuditLog, doer: Doer): CommandContext {
  return {
    ...context,
    async executeSql(request) {
      if (request.queryType !== "raw") return context.executeSql(request);
      const tell = (outcome: "ok" | number): void =>
        audit.note({ what: "sql", ...doer, outcome, sql: request.sql });
      return told(() => context.executeSql(request), tell);
    },
    async edit(edit, call) {
      if (edit.dryRun) return context.edit(edit, call);
      const { ticker } = edit;
      const subject =
        edit.what === "renaming"
          ? { what: "rename" as const, ticker, newTicker: edit.newTicker }
          : {
              what: "delete" as const,
              ticker,
              kind: edit.kind,
              part: edit.part,
              first: edit.from,
              last: edit.to,
            };
      const outcome = await told(
        () => context.edit(edit, call),
        (status) => {
          if (status !== "ok") audit.note({ ...subject, ...doer, outcome: status });
        },
      );
      audit.note({
        ...subject,
        ...doer,
        outcome: outcome.ok ? "ok" : outcome.status,
        ...(outcome.ok ? { rows: outcome.rows } : {}),
      });
      return outcome;
    },
  };
}

/** The same check. No router sees the refusals of a WebSocket's messages. */
export function auditedCheck(
  check: CheckTickers | null,
  audit: AuditLog | null,
  asked: Doer & { path: string },
): CheckTickers | null {
  if (check === null || audit === null) return check;
  return (tickers) => {
    try {
      check(tickers);
    } catch (error) {
      if (error instanceof RequestError)
        audit.refused({ ...asked, outcome: error.status, error: error.message });
      throw error;
    }
  };
}

async function told<T>(act: () => Promise<T>, tell: (outcome: "ok" | number) => void): Promise<T> {
  try {
    const result = await act();
    tell("ok");
    return result;
  } catch (error) {
    tell(error instanceof RequestError ? error.status : STATUS.ownFault);
    throw error;
  }
}
