/** Reads that workers leave to the hub, which holds the database. Rows travel as attachments. */
import type { UserSqlRequest } from "../storage/user-sql-contract.ts";
import type { ReadName } from "./remote-reads.ts";

/** An update without its frame; `bytes` is the frame's size in UTF-8. */
export type UpdateHeader = [position: number, type: string, savedAtMs: number, bytes: number];

/** JSON has no form for integers that a double can't hold. */
export type WireSqlRequest = Omit<UserSqlRequest, "params"> & {
  params: (null | string | number | boolean | { integer: string })[];
};

export type ReadToHub =
  | { type: "read"; id: number; name: ReadName; args: unknown[] }
  | { type: "sql"; id: number; request: WireSqlRequest; timeoutMs: number }
  /** The next piece of an answer that said `more`. */
  | { type: "next"; id: number }
  /** Drops the rest, or stops the statement. */
  | { type: "cancel"; id: number };

export type ReadToWorker =
  | { type: "value"; id: number; value: unknown }
  /** The attachment holds the frames, one after the other. */
  | { type: "updates"; id: number; updates: UpdateHeader[] }
  | { type: "empty"; id: number }
  /** The attachment is a piece of the answer; `rows` only with SQL, in the first piece. */
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
