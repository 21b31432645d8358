import { refusalOf } from "../protocol/errors.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { Save } from "../storage/contract.ts";
import type { CommandCall, CommandContext } from "./context.ts";

export interface PreparedSave<S> {
  save: S;
  /** The stored records, exactly as sent, for subscribers. */
  records: JsonRecord[];
  /** Records without a stamp, which can't be stored. */
  skipped: number;
}

/**
 * @throws RequestError 409 for keys taken with on_duplicate "error", 503 when the database refuses.
 */
export async function commitSave(
  { save, skipped }: PreparedSave<Save>,
  frame: string,
  call: CommandCall,
  context: CommandContext,
): Promise<void> {
  if (skipped > 0) context.warn(`Save of ${save.ticker}: ${skipped} rows without a stamp were left out`);
  const outcome = await context.save(save, frame, call);
  if (outcome.ok) return;
  throw refusalOf(outcome.status, outcome);
}
