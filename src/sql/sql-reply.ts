/** Turns the outcome of a driver's own SQL into the answer to a request. */
import { atClientsPace } from "../protocol/clients-pace.ts";
import { refusalOf } from "../protocol/errors.ts";
import type { SqlReply, UserSqlOutcome } from "../storage/user-sql-contract.ts";

/** Up to this many bytes are sent in one piece. */
const WHOLE_BYTES_MAX = 256 * 1024;

/** @throws RequestError what the statement was refused with. */
export function sqlReplyOf(outcome: UserSqlOutcome): SqlReply {
  switch (outcome.status) {
    case "needs-write":
      return "needs-write";
    case "error":
      throw refusalOf(outcome.httpStatus, outcome);
    case "rows": {
      const { rows, bytes, parts } = outcome;
      if (bytes <= WHOLE_BYTES_MAX) return { rows, body: Buffer.concat(parts) };
      let next = 0;
      return { rows, body: atClientsPace({ next: () => parts[next++] ?? null }) };
    }
  }
}
