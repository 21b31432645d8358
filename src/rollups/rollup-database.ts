/** The database as roll-ups see it: they read and save as any client does. */
import type {
  Edit,
  EditOutcome,
  NoteChange,
  SaveOutcome,
  SaveRows,
  StockReader,
} from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";

export interface RollupDatabase {
  readonly reader: Pick<StockReader, "updates" | "notes" | "parts">;
  columns(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  /** In the order of the calls. */
  save(save: SaveRows): Promise<SaveOutcome>;
  edit(edit: Edit): Promise<EditOutcome>;
}

/** Changes a note alone. @param ticker whose note it is. */
export function saveNote(
  db: Pick<RollupDatabase, "save">,
  ticker: string,
  note: NoteChange,
): Promise<SaveOutcome> {
  return db.save({ kind: "hourly", ticker, part: null, rows: [], onDuplicate: "rollup", note });
}
