/**
 * Reads that workers leave to the hub, because its process holds the database. Texts of rows travel
 * as attachments.
 */
import type { UserSqlRequest } from "../storage/user-sql-contract.ts";
import type { ReadName } from "./remote-reads.ts";

/** Without its frame, of which it tells the size in UTF-8. */
export type UpdateHeader = [seq: number, type: string, savedAtMs: number, bytes: number];

/** JSON has no place for integers that a double can't hold. */
export type WireSqlRequest = Omit<UserSqlRequest, "params"> & {
  params: (null | string | number | boolean | { integer: string })[];
};

export type ReadToHub =
  | { type: "read"; id: number; name: ReadName; args: unknown[] }
  | { type: "sql"; id: number; request: WireSqlRequest; timeoutMs: number }
  /** The next piece of an answer that said `more`. */
  | { type: "next"; id: number }
  /** The rest isn't wanted, or the statement should stop. */
  | { type: "cancel"; id: number };

export type ReadToWorker =
  | { type: "value"; id: number; value: unknown }
  /** Their frames, one after the other, as attachment. */
  | { type: "updates"; id: number; updates: UpdateHeader[] }
  | { type: "empty"; id: number }
  /** A piece of the answer as attachment; `rows` only with SQL, in the first piece. */
  | { type: "piece"; id: number; more: boolean; rows?: number | undefined }
  | { type: "needs-write"; id: number }
  | {
      type: "failed";
      id: number;
      status: number;
      error: string;
      details: string | undefined;
      hint: string | undefined;
      retryAfterS: number | undefined;
    };
