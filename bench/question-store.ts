/** Stores the rows of the scenario `questions`, before a server starts. */
import { SQL } from "bun";
import type { ColumnSave, SaveOutcome, StockWriter } from "../src/storage/contract.ts";
import { describeDatabase } from "../src/storage/engines.ts";
import type { EngineName } from "../test/support/flags.ts";
import { type BarDays, questionSaves } from "./question-data.ts";

const SAVES_TOGETHER = 10;

export async function storeQuestionRows(engine: EngineName, database: string, days: BarDays): Promise<void> {
  const opened = await describeDatabase(database).engine.open!({ dbFile: database, durability: "normal" });
  const { writer } = opened;
  for (const saves of together(questionSaves(days))) {
    const outcomes = (await writer.commitColumnsTogether?.(saves)) ?? (await oneByOne(writer, saves));
    for (const outcome of outcomes) if (!outcome.ok) throw new Error(outcome.error);
  }
  await opened.close();
  if (engine !== "postgres") return;
  // As the server's autovacuum does after a while.
  const sql = new SQL(database, { max: 1 });
  await sql.unsafe("vacuum analyze");
  await sql.close();
}

async function oneByOne(writer: StockWriter, saves: ColumnSave[]): Promise<SaveOutcome[]> {
  const outcomes: SaveOutcome[] = [];
  for (const save of saves) outcomes.push(await writer.commitColumns!(save));
  return outcomes;
}

/** Some saves of one kind for each transaction. */
function* together(saves: Iterable<ColumnSave>): Generator<ColumnSave[]> {
  let waiting: ColumnSave[] = [];
  for (const save of saves) {
    const isOther = waiting.some(({ kind, part }) => kind !== save.kind || part !== save.part);
    if (isOther || waiting.length === SAVES_TOGETHER) {
      yield waiting;
      waiting = [];
    }
    waiting.push(save);
  }
  if (waiting.length > 0) yield waiting;
}
