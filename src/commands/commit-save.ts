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
 * @returns The answer; to a server in front of this one also how many rows were stored, and the
 *   position of the update.
 * @throws RequestError 409 for keys taken with on_duplicate "error", 503 when the database refuses.
 */
export async function commitSave(
  { save, skipped }: PreparedSave<Save>,
  { frame, message }: { frame: string; message: string },
  call: CommandCall,
  context: CommandContext,
): Promise<string> {
  if (skipped > 0) context.warn(`Save of ${save.ticker}: ${skipped} rows without a stamp were left out`);
  const outcome = await context.save(save, frame, call);
  if (!outcome.ok) throw refusalOf(outcome.status, outcome);
  const told = call.saveId === null ? "" : `,"stored":${outcome.stored},"position":${outcome.position}`;
  return `{"message":${JSON.stringify(message)}${told}}`;
}
