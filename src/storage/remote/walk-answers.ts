/** The rows of a series out of answers, each of which may break off. */
import type { JsonRecord } from "../../protocol/json.ts";
import { answeredRows, BrokenAnswerError } from "../answered-rows.ts";
import { type JsonRows, TransferRowError } from "../contract.ts";
import type { SeriesRow } from "../model/kinds.ts";

/** Beginnings of a series that bring no new row, one after the other. */
const TRIES_MAX = 5;

export interface Walk {
  from: string | null;
  /** @param from inclusive. */
  ask(from: string | null): Promise<JsonRows>;
  toRow(row: JsonRecord): SeriesRow;
  isAfter(row: SeriesRow, last: SeriesRow): boolean;
  /** The series, in errors. */
  where: string;
}

/** @throws TransferRowError */
export async function* walkAnswers(walk: Walk): AsyncGenerator<SeriesRow[]> {
  let last: SeriesRow | null = null;
  for (let tries = 1; ; tries++) {
    // The rows of the last stamp come again.
    const until: SeriesRow | null = last;
    try {
      for await (const records of answeredRows(await walk.ask(last?.[0] ?? walk.from))) {
        const found = toRows(records, walk);
        const rows: SeriesRow[] = until === null ? found : found.filter((row) => walk.isAfter(row, until));
        if (rows.length === 0) continue;
        // The row itself may be changed by whoever takes it.
        last = [...rows.at(-1)!];
        tries = 1;
        yield rows;
      }
      return;
    } catch (error) {
      if (!(error instanceof BrokenAnswerError) || tries === TRIES_MAX) throw error;
    }
  }
}

/** @throws TransferRowError naming the series. */
function toRows(records: JsonRecord[], { toRow, where }: Walk): SeriesRow[] {
  try {
    return records.map(toRow);
  } catch (error) {
    if (error instanceof TransferRowError) throw new TransferRowError(`${where}: ${error.message}`);
    throw error;
  }
}
