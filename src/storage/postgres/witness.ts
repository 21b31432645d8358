/**
 * A row that a transaction writes, by which it is known again: where the row is found as it was written, the transaction has been
 * committed. (The number of a transaction doesn't tell: after a crash, PostgreSQL gives it to another.)
 */
import type { PostgresConnection } from "./connection.ts";

export interface Witness {
  /** Finds it by its key and the moment of its writing, which is that of the whole batch. */
  sql: string;
  params: unknown[];
}

export async function isThere(connection: PostgresConnection, { sql, params }: Witness): Promise<boolean> {
  return (await connection.run(sql, params)).length > 0;
}
