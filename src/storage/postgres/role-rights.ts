/** Rights that the server's role lacks, and those that it doesn't need: users' SQL has them too. */
import type { PostgresConnection } from "./connection.ts";
import { unlessRefused } from "./errors.ts";

/** The tables of `$1` that are there, and lack a right that the server needs; null: none. */
export const LACKING_RIGHTS_SQL = `(
  SELECT pg_catalog.string_agg(w.name, ', ') FROM pg_catalog.unnest($1::text[]) AS w(name)
  WHERE pg_catalog.to_regclass(w.name) IS NOT NULL AND NOT (
    SELECT pg_catalog.bool_and(
        pg_catalog.has_table_privilege(pg_catalog.to_regclass(w.name)::oid, r))
      FROM pg_catalog.unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS r))`;

const ROLE_SQL = `SELECT r.rolname::text AS role, r.rolsuper AS super, r.rolbypassrls AS bypasses,
    (SELECT pg_catalog.string_agg(g.rolname::text, ', ' ORDER BY g.rolname) FROM pg_catalog.pg_roles g
      WHERE g.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend',
        'pg_read_all_data', 'pg_write_all_data', 'pg_create_subscription')
        AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')) AS groups
  FROM pg_catalog.pg_roles r WHERE r.rolname = session_user`;

interface Rights {
  role: string;
  super: boolean;
  bypasses: boolean;
  groups: string | null;
}

/** @returns null if it has none, or the database refuses to tell. */
export async function findExcessRights(
  connection: PostgresConnection,
  schema: string | null,
): Promise<{ finding: string; advice: string } | null> {
  const [rights] = await unlessRefused<Rights[]>(connection.run(ROLE_SQL), []);
  if (rights === undefined) return null;
  const { role, super: isSuper, bypasses, groups } = rights;
  const excess = isSuper
    ? ["is a superuser"]
    : [...(groups === null ? [] : [`is a member of ${groups}`]), ...(bypasses ? ["has BYPASSRLS"] : [])];
  if (excess.length === 0) return null;
  const where = schema ?? "stocks";
  return {
    finding: `the role ${role} ${excess.join(" and ")}: whoever may send SQL may do what it may, such as read files of the database server`,
    advice: `use a role without: CREATE ROLE stock_server LOGIN PASSWORD '…' NOSUPERUSER; GRANT CREATE, USAGE ON SCHEMA ${where} TO stock_server; let it own the server's tables and stock_db_drop_checkpoints() (ALTER TABLE … OWNER TO stock_server), and name it in --db-file`,
  };
}
