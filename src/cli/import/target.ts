/**
 * Where an import puts its rows: a running server, or a database file. Both take the same commands.
 */
import type { PreparedSave } from "../../commands/commit-save.ts";
import { toSaveActions } from "../../commands/save-corporate-actions.ts";
import { toSaveFigures } from "../../commands/save-financial-info.ts";
import { toSaveOptions } from "../../commands/save-options-data.ts";
import { toSaveTicks } from "../../commands/save-realtime-data.ts";
import { toSaveBars } from "../../commands/save-stock-data.ts";
import { RequestError } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Save, SaveCounts, SaveOutcome, StockWriter } from "../../storage/contract.ts";
import type { TransferTarget } from "../../storage/engine.ts";
import { type ColumnBatch, cellReaders, rowColumnNames } from "../../storage/model/columns.ts";
import { describeRefusal } from "../server-client.ts";

/** A command as `POST /db_command` takes it. */
export interface SaveCommand {
  command:
    | "save_stock_data"
    | "save_realtime_data"
    | "save_options_data"
    | "save_financial_info"
    | "save_corporate_actions";
  params: Record<string, unknown>;
  /** Plain ticks, in parts; the parameters have no `data` then, see `withData`. */
  columns?: ColumnBatch[];
}

/** The parameters with all rows as records. */
export function withData({ params, columns }: SaveCommand): Record<string, unknown> {
  return columns === undefined ? params : { ...params, data: columns.flatMap(recordsOf) };
}

function recordsOf(columns: ColumnBatch): Record<string, unknown>[] {
  const names = [...columns.columns.keys()];
  const cells = cellReaders("ticks", columns);
  const places = rowColumnNames("ticks");
  const readers = names.map((name) => cells[places.indexOf(name)]!);
  return Array.from({ length: columns.rows }, (_, row) =>
    Object.fromEntries(names.map((name, index) => [name, readers[index]!(row)])),
  );
}

/** What became of the rows of a save. */
export type RowCounts = Record<keyof SaveCounts, number>;

/** What a save answers. */
export interface SaveAnswer extends RowCounts {
  /** The database in which the rows are; null when it isn't said. */
  epoch: string | null;
}

export interface ImportTarget {
  /** For messages. */
  name: string;
  /** A save with the `save_id` of an earlier one changes nothing. */
  knowsRequests: boolean;
  /** A command may have several parts, each of which is a save of its own. */
  takesParts: boolean;
  /**
   * Returns when the rows are stored. Saving the same command again is harmless.
   * @throws TargetError when they are not, and trying again has not helped.
   */
  save(command: SaveCommand): Promise<SaveAnswer>;
  close(): void | Promise<void>;
}

export class TargetError extends Error {
  override name = "TargetError";
}

type CommittingWriter = Pick<StockWriter, "commit">;

export function fileTarget(
  name: string,
  { writer, close }: Pick<TransferTarget, "close"> & { writer: CommittingWriter },
): ImportTarget {
  return {
    name,
    knowsRequests: false,
    takesParts: false,
    async save(command) {
      const prepared = toSave(command);
      const [outcome] = await commit(name, writer, prepared.save);
      if (outcome === undefined || outcome === null) throw new TargetError(`${name} gave no answer`);
      if (!outcome.ok) throw new TargetError(describeRefusal(outcome));
      const { doubled = {}, skipped, save } = prepared;
      const answer = answerOf(outcome as object, save.rows.length, skipped + (doubled.skipped ?? 0));
      return { ...answer, replaced: answer.replaced + (doubled.replaced ?? 0) };
    },
    close,
  };
}

/**
 * Reads the counts of an answer.
 * @param rows Counted as stored where the answer says nothing.
 */
export function answerOf(answer: object, rows: number, skipped: number): SaveAnswer {
  const { stored, replaced, repeated, skipped: left, epoch } = answer as Record<string, unknown>;
  const count = (value: unknown, otherwise: number): number =>
    typeof value === "number" ? value : otherwise;
  return {
    stored: count(stored, rows),
    replaced: count(replaced, 0),
    // true: the request itself is a repeated one, and told as the first time.
    repeated: count(repeated, 0),
    skipped: count(left, 0) + skipped,
    epoch: typeof epoch === "string" ? epoch : null,
  };
}

async function commit(name: string, writer: CommittingWriter, save: Save): Promise<(SaveOutcome | null)[]> {
  try {
    return await writer.commit([save]);
  } catch (error) {
    const reason = messageOf(error);
    throw new TargetError(`cannot write to ${name}: ${reason}`, { cause: error });
  }
}

/** With the server's own validation, so that a file takes what a server takes. */
function toSave(sent: SaveCommand): Pick<PreparedSave<Save>, "save" | "skipped" | "doubled"> {
  const { command } = sent;
  const params = withData(sent);
  try {
    if (command === "save_corporate_actions") return toSaveActions(params);
    if (command === "save_options_data") return toSaveOptions(params, Date.now());
    // Each row of an import has its date.
    if (command === "save_financial_info") return toSaveFigures(params, "");
    return command === "save_stock_data" ? toSaveBars(params) : toSaveTicks(params);
  } catch (error) {
    if (error instanceof RequestError) throw new TargetError(describeRefusal(error.body()), { cause: error });
    throw error;
  }
}
