/** What the update log keeps of a save, so that a repetition is answered as the first time. */
import { STATUS } from "../protocol/codes.ts";
import type { SaveCounts, SaveOutcome } from "./contract.ts";
import type { LogEntry, RequestIdentity } from "./update-contract.ts";

/** What the log has of a save: the position of its update, and the text of `countsText`. */
export interface LoggedSave {
  position: number;
  /** Null: of a server that kept no counts. */
  counts: string | null;
}

/** `stored,replaced,repeated,skipped`; of a request with an identity, then its print. */
export function countsText(
  { stored, replaced = 0, repeated = 0, skipped = 0 }: SaveCounts,
  request: RequestIdentity | undefined,
): string {
  const counts = `${stored},${replaced},${repeated},${skipped}`;
  return request === undefined ? counts : `${counts},${request.print}`;
}

/** Whether the log has to be asked for the save. */
export function mayBeLogged({ update }: Pick<LogEntry, "update">): boolean {
  return update !== undefined && (update.repeated || update.request !== undefined);
}

/** The outcome of a save that the log knows. @param epoch of its position, if known. */
export function repeatedOutcome(
  { ticker, update }: Pick<LogEntry, "ticker" | "update">,
  { position, counts }: LoggedSave,
  epoch?: string,
): SaveOutcome {
  const [stored, replaced, repeated, skipped, print] = counts?.split(",") ?? [];
  const request = update?.request;
  if (request !== undefined && print !== request.print) return usedForAnother(ticker);
  return {
    ok: true,
    ...withoutZeros({
      stored: Number(stored ?? 0),
      replaced: Number(replaced ?? 0),
      repeated: Number(repeated ?? 0),
      skipped: Number(skipped ?? 0),
    }),
    position,
    ...(epoch === undefined ? {} : { epoch }),
    isRepetition: true,
  };
}

/** A request with the identity of an earlier one, and other rows. */
export function usedForAnother(ticker: string): SaveOutcome {
  return {
    ok: false,
    status: STATUS.conflict,
    error: `save: the Idempotency-Key or save_id of this save of ${ticker} was used for another one, with other rows; nothing was saved`,
    details: "each save needs an identity of its own; only a repetition brings the same again",
  };
}

function withoutZeros({ stored, ...others }: SaveCounts): SaveCounts {
  return { stored, ...Object.fromEntries(Object.entries(others).filter(([, count]) => count !== 0)) };
}
