/** Turns the outcome of a driver's own SQL into the answer to a request. */
import { atClientsPace, piecesIn } from "../protocol/clients-pace.ts";
import { refusalOf } from "../protocol/errors.ts";
import { WHOLE_BYTES_MAX } from "../storage/sql-answer.ts";
import type { SqlReply, UserSqlOutcome } from "../storage/user-sql-contract.ts";

/** @throws RequestError what the statement was refused with. */
export function sqlReplyOf(outcome: UserSqlOutcome): SqlReply {
  switch (outcome.status) {
    case "needs-write":
      return "needs-write";
    case "error":
      throw refusalOf(outcome.httpStatus, outcome);
    case "rows": {
      const { rows, changed, bytes, parts } = outcome;
      if (bytes <= WHOLE_BYTES_MAX) return { rows, changed, body: Buffer.concat(parts) };
      return { rows, changed, body: atClientsPace(piecesIn(parts)) };
    }
  }
}
