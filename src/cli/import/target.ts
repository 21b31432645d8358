/**
 * Where an import puts its rows: a running server, or a database file. Both take the same commands.
 */
import { toSaveActions } from "../../commands/save-corporate-actions.ts";
import { toSaveTicks } from "../../commands/save-realtime-data.ts";
import { toSaveBars } from "../../commands/save-stock-data.ts";
import { RequestError } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Save, SaveOutcome } from "../../storage/contract.ts";
import type { TransferTarget } from "../../storage/engine.ts";
import { describeRefusal } from "../server-client.ts";

/** A command as `POST /db_command` takes it. */
export interface SaveCommand {
  command: "save_stock_data" | "save_realtime_data" | "save_corporate_actions";
  params: Record<string, unknown>;
}

export interface ImportTarget {
  /** For messages. */
  name: string;
  /**
   * Returns when the rows are stored. Saving the same command again is harmless.
   * @throws TargetError when they are not, and trying again has not helped.
   */
  save(command: SaveCommand): Promise<void>;
  close(): void | Promise<void>;
}

export class TargetError extends Error {
  override name = "TargetError";
}

export function fileTarget(
  name: string,
  { writer, close }: Pick<TransferTarget, "writer" | "close">,
): ImportTarget {
  return {
    name,
    async save(command) {
      const [outcome] = await commit(name, writer, toSave(command));
      if (outcome?.ok) return;
      throw new TargetError(
        outcome === undefined || outcome === null ? `${name} gave no answer` : describeRefusal(outcome),
      );
    },
    close,
  };
}

async function commit(
  name: string,
  writer: TransferTarget["writer"],
  save: Save,
): Promise<(SaveOutcome | null)[]> {
  try {
    return await writer.commit([save]);
  } catch (error) {
    const reason = messageOf(error);
    throw new TargetError(`cannot write to ${name}: ${reason}`, { cause: error });
  }
}

/** With the server's own validation, so that a file takes what a server takes. */
function toSave({ command, params }: SaveCommand): Save {
  try {
    if (command === "save_corporate_actions") return toSaveActions(params).save;
    return command === "save_stock_data" ? toSaveBars(params).save : toSaveTicks(params).save;
  } catch (error) {
    if (error instanceof RequestError) throw new TargetError(describeRefusal(error.body()), { cause: error });
    throw error;
  }
}
