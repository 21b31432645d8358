/** Makes an edit, and answers with what became of it. */
import { refusalOf } from "../protocol/errors.ts";
import type { Edit, Edited, Removal, Renaming } from "../storage/contract.ts";
import type { CommandCall, CommandContext } from "./context.ts";
import { readFlag } from "./params.ts";
import { editIdentityOf, readIdentity } from "./request-identity.ts";

export interface WantedEdit {
  command: string;
  edit: Removal | Renaming;
  /** The member of the answer that counts the rows. */
  counted: "removed" | "renamed";
  /** @param rows `3 rows`, `1 row`. @param done `were`, `would be`. */
  message(rows: string, done: string): string;
}

/** @throws RequestError 400 a parameter is wrong, 409 as `StockWriter.edit`, 503. */
export async function commitEdit(
  { command, edit: wanted, counted, message }: WantedEdit,
  call: CommandCall,
  context: CommandContext,
): Promise<string> {
  const dryRun = readFlag(call.params, "dry_run");
  const text = readIdentity(call);
  const request = text === null || dryRun ? undefined : editIdentityOf(text, command, wanted);
  const edit: Edit = { ...wanted, dryRun, identity: { saveId: "", repeated: false, request } };
  const outcome = await context.edit(edit, call);
  if (!outcome.ok) throw refusalOf(outcome.status, { ...outcome, error: saidOf(command, outcome.error) });
  const { rows, position } = outcome;
  const epoch = outcome.epoch ?? (await context.reader.updates.epoch());
  return JSON.stringify({
    message: message(rows === 1 ? "1 row" : `${rows} rows`, doneOf(rows, dryRun)),
    [counted]: rows,
    ...(dryRun ? { dry_run: true } : {}),
    ...repeatedOf(outcome, { isClients: request !== undefined, isServers: call.saveId !== null }),
    seq: position,
    epoch,
  });
}

/** What engines say of any commit begins with "save". */
function saidOf(command: string, error: string): string {
  return `${command}: ${error.replace(/^save: /, "")}`;
}

function doneOf(rows: number, dryRun: boolean): string {
  if (dryRun) return "would be";
  return rows === 1 ? "was" : "were";
}

/** A server that has sent it again is told so by another name, as of a save. */
function repeatedOf(
  { isRepetition }: Edited,
  { isClients, isServers }: Record<"isClients" | "isServers", boolean>,
) {
  if (!isRepetition) return {};
  return { ...(isClients ? { repeated: true } : {}), ...(isServers ? { repetition: true } : {}) };
}
