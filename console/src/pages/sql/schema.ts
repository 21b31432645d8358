/** The tables of the database and their columns, for the editor. */
import { getJson, postJson } from "../../api/request.ts";

export interface Schema {
  engine: string;
  /** Columns by table. */
  tables: Record<string, string[]>;
}

const OF_SQLITE = `SELECT m.name AS name, p.name AS member FROM sqlite_master m, pragma_table_info(m.name) p
WHERE m.type IN ('table', 'view') ORDER BY m.name, p.cid`;
const OF_OTHERS = `SELECT table_name AS name, column_name AS member FROM information_schema.columns
WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY table_name, ordinal_position`;

/** @throws ServerError as the statement that asks for them does */
export async function readSchema(signal: AbortSignal): Promise<Schema> {
  const health = await getJson<{ database?: { db_type?: string } }>("health", {}, signal);
  const engine = health.database?.db_type ?? "";
  const sql = engine === "sqlite" ? OF_SQLITE : OF_OTHERS;
  const { data } = await postJson<{ data: { name: string; member: string }[] }>("v1/sql", { sql }, signal);
  const tables: Record<string, string[]> = {};
  for (const { name, member } of data) {
    tables[name] ??= [];
    tables[name].push(member);
  }
  return { engine, tables };
}
