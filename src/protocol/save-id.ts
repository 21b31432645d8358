/**
 * The id of a save on its way over several servers: one that is repeated because its answer was
 * lost is known by the database, and is no second update.
 */

export const SAVE_ID_HEADER = "Stock-Db-Save";
/** Of clients: see `RequestIdentity`. */
export const IDEMPOTENCY_HEADER = "Idempotency-Key";

export interface SaveIdentity {
  /** Of one save, and of no other. */
  saveId: string;
  /** It may have been stored already. */
  repeated: boolean;
}

const HEADER = /^([\w-]{1,64})(;repeated)?$/;

/** @returns Null where none was sent, as by every client that is no server. */
export function readSaveId(header: string | null): SaveIdentity | null {
  const match = HEADER.exec(header ?? "");
  return match === null ? null : { saveId: match[1]!, repeated: match[2] !== undefined };
}

export function writeSaveId({ saveId, repeated }: SaveIdentity): string {
  return repeated ? `${saveId};repeated` : saveId;
}
