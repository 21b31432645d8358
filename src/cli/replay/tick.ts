import type { JsonRecord } from "../../protocol/json.ts";
import type { Timed } from "../../replay/merge-by-time.ts";

/** A tick on its way from a file or a database to a server. */
export interface ReplayTick extends Timed {
  ticker: string;
  type: string;
  /** As a save takes it, with the stamp as `timestamp`. */
  record: JsonRecord;
}

/** The source can't be played. The message says where and why. */
export class ReplaySourceError extends Error {
  override name = "ReplaySourceError";
}
