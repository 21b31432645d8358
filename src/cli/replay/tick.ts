import type { JsonRecord } from "../../protocol/json.ts";
import type { Timed } from "../../replay/merge-by-time.ts";

/** One tick on its way from a file or a database to a server. */
export interface ReplayTick extends Timed {
  ticker: string;
  type: string;
  /** As a save takes it, under `timestamp`; `seq` is absent where the source has none. */
  record: JsonRecord;
}

/** The source is not what it was said to be, or can't be played: the message says where and why. */
export class ReplaySourceError extends Error {
  override name = "ReplaySourceError";
}
