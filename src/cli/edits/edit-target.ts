/** Where `delete` and `rename` change rows: a running server, or a database of any engine. */
import { redact } from "../../config/redact.ts";
import { RequestError } from "../../protocol/errors.ts";
import type { Edited, Removal, Renaming } from "../../storage/contract.ts";
import { openTarget, openToRead } from "../../storage/engines.ts";
import { describeRefusal } from "../server-client.ts";

export interface EditTarget {
  /** @throws Error it is refused, or nobody knows whether it was done. */
  make(edit: Removal | Renaming, dryRun: boolean): Promise<Edited>;
  close(): void | Promise<void>;
}

/** @throws Error There is none, or it can't be opened. */
export async function openEditTarget(dbFile: string): Promise<EditTarget> {
  // What opens it to write would create it.
  const source = await openToRead(dbFile);
  if (source === null) throw new Error(`there is no database ${redact(dbFile)}`);
  await source.close();
  const { writer, close } = await openTarget({ dbFile, durability: "full" });
  return {
    async make(edit, dryRun) {
      const identity = { saveId: crypto.randomUUID(), repeated: false };
      const outcome = await Promise.try(() => writer.edit({ ...edit, dryRun, identity })).catch(inWords);
      if (outcome.ok) return outcome;
      throw new Error(describeRefusal(outcome));
    },
    close,
  };
}

function inWords(error: unknown): never {
  throw error instanceof RequestError ? new Error(describeRefusal(error.body()), { cause: error }) : error;
}
