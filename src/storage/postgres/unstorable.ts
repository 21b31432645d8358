/** Saves whose values PostgreSQL's types can't hold: told before anything is stored. */
import type { Count, Save, SaveOutcome } from "../contract.ts";

/** @param wholeNumbers `table.column` of counts that can't hold fractions; they would be rounded without a word. */
export function unstorable(save: Save, wholeNumbers: Set<string>): SaveOutcome | null {
  if (save.ticker.includes("\0") || (save.kind === "ticks" && save.type.includes("\0")))
    return refused(
      `save: PostgreSQL can't store a text with a NUL character: ${JSON.stringify(save.ticker)}`,
    );
  for (const [table, column, count] of countsOf(save)) {
    if (typeof count !== "number" || Number.isInteger(count) || !wholeNumbers.has(`${table}.${column}`))
      continue;
    return refused(
      `save: ${save.ticker}: ${column} ${count} is no whole number, and the column ${table}.${column} holds bigint`,
      `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE numeric, and a restart of the server, make room for fractions`,
    );
  }
  return null;
}

function* countsOf(save: Save): Generator<[table: string, column: string, count: Count | null]> {
  if (save.kind === "bars") {
    const table = save.interval === "daily" ? "daily_prices" : "hourly_prices";
    for (const row of save.rows) yield [table, "volume", row[5]];
    return;
  }
  for (const row of save.rows) {
    yield ["realtime_data", "size", row[2]];
    yield ["realtime_data", "ask_size", row[4]];
  }
}

function refused(error: string, details?: string): SaveOutcome {
  return { ok: false, status: 400, error, ...(details === undefined ? {} : { details }) };
}
