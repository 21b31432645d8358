/** What the tables have no index and no default for: rows that users insert store no key twice, and have the time when they were written. */
import { badRequest } from "../../protocol/errors.ts";
import type { Session } from "./session.ts";

/** Rows that a transaction has added, and not committed yet, are numbered from here. */
const FIRST_UNCOMMITTED_ROWID = 36_028_797_018_960_000n;

const KEYS: Record<string, string[]> = {
  daily_prices: ["ticker", "date"],
  hourly_prices: ["ticker", "datetime"],
  realtime_data: ["ticker", "type", "timestamp", "seq"],
};

/**
 * Gives rows that the statement has added without a `write_timestamp` the current time; the column has no default, see schema.ts.
 *
 * @param sql the statement that has run in the session's transaction.
 */
export async function stampInserted(session: Session, sql: string): Promise<void> {
  for (const table of Object.keys(KEYS)) {
    if (!sql.toLowerCase().includes(table)) continue;
    await session.run(
      `UPDATE ${table} SET write_timestamp = now()::TIMESTAMP WHERE rowid >= ${FIRST_UNCOMMITTED_ROWID} AND write_timestamp IS NULL`,
    );
  }
}

/**
 * @param sql the statement that has run in the session's transaction.
 * @throws RequestError 400 naming the first key that is there twice.
 */
export async function refuseTakenKeys(session: Session, sql: string): Promise<void> {
  for (const [table, key] of Object.entries(KEYS)) {
    if (!sql.toLowerCase().includes(table)) continue;
    const same = key.map((column) => `mine.${column} = other.${column}`).join(" AND ");
    const taken = await session.rows(
      `SELECT ${key.map((column) => `mine.${column}::VARCHAR`).join(", ")} FROM ${table} mine
       JOIN ${table} other ON ${same} AND mine.rowid <> other.rowid
       WHERE mine.rowid >= ${FIRST_UNCOMMITTED_ROWID} LIMIT 1`,
    );
    if (taken[0] !== undefined) {
      throw badRequest(
        `execute_sql: a row of ${table} has a key that is stored already; nothing changed`,
        key.map((column, i) => `${column} ${taken[0]![i]}`).join(", "),
      );
    }
  }
}
