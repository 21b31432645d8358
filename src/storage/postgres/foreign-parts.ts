/**
 * Finds what others have put on the server's tables, or named like a function that its statements
 * use. Any of it may refuse or change rows, or run with every save. Some of it is meant, so the
 * operator is told.
 */
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { unlessRefused } from "./errors.ts";
import { OWN_TABLES, SERVER_FUNCTIONS, SERVER_OPERATORS } from "./own-names.ts";
import { TABLES } from "./table-definitions.ts";

const TOLD_MAX = 20;
/** An extension owns such objects, as TimescaleDB owns the trigger of a hypertable. */
const NOT_OF_EXTENSION = (catalog: string, id: string): string =>
  `NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.${catalog}'::regclass AND x.objid = ${id} AND x.deptype = 'e')`;

const PARTS_SQL = `WITH ours AS (
    SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, pg_catalog.quote_ident(c.relname) AS name, k.columns AS key FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN unnest($2::text[], $3::text[]) AS k(name, columns) ON k.name = c.relname
    WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])),
  parts(rank, part, undo) AS (
    SELECT 1, pg_catalog.concat('trigger ', t.tgname, ' on ', o.name), pg_catalog.concat('DROP TRIGGER ', pg_catalog.quote_ident(t.tgname), ' ON ', o.name)
      FROM ours o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
      WHERE NOT t.tgisinternal AND t.tgname::text NOT LIKE 'daily_checkpoints\\_%' AND ${NOT_OF_EXTENSION("pg_proc", "t.tgfoid")}
    UNION ALL SELECT 2, pg_catalog.concat('rule ', r.rulename, ' on ', o.name), pg_catalog.concat('DROP RULE ', pg_catalog.quote_ident(r.rulename), ' ON ', o.name)
      FROM ours o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid WHERE r.rulename <> '_RETURN'
    UNION ALL SELECT 3, pg_catalog.concat('row-level security on ', o.name), pg_catalog.concat('ALTER TABLE ', o.name, ' DISABLE ROW LEVEL SECURITY')
      FROM ours o WHERE o.relrowsecurity
    UNION ALL SELECT 4, pg_catalog.concat('constraint ', k.conname, ' on ', k.conrelid::regclass, CASE WHEN k.contype = 'f' THEN pg_catalog.concat(' to ', k.confrelid::regclass) END),
        pg_catalog.concat('ALTER TABLE ', k.conrelid::regclass, ' DROP CONSTRAINT ', pg_catalog.quote_ident(k.conname))
      FROM pg_catalog.pg_constraint k WHERE k.contype IN ('c', 'f', 'x')
        AND (k.conrelid IN (SELECT oid FROM ours) OR k.confrelid IN (SELECT oid FROM ours))
    UNION ALL SELECT 5, pg_catalog.concat('index ', i.indexrelid::regclass, ' on ', o.name, CASE WHEN i.indisunique THEN ', unique' ELSE ', of an expression' END),
        pg_catalog.concat('DROP INDEX ', i.indexrelid::regclass)
      FROM ours o JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
      WHERE NOT i.indisprimary AND (i.indexprs IS NOT NULL OR i.indisunique AND (i.indpred IS NOT NULL OR o.key <> (
        SELECT pg_catalog.string_agg(a.attname::text, ', ' ORDER BY a.attname::text COLLATE "C") FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = o.oid AND a.attnum = ANY (i.indkey::int2[]))))
    UNION ALL SELECT 6, pg_catalog.concat('generated column ', a.attname, ' of ', o.name), pg_catalog.concat('ALTER TABLE ', o.name, ' DROP COLUMN ', pg_catalog.quote_ident(a.attname))
      FROM ours o JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid
      WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.to_jsonb(a) ->> 'attgenerated' <> ''
    UNION ALL SELECT 7, pg_catalog.concat('table ', h.inhrelid::regclass, ' that inherits from ', o.name), pg_catalog.concat('ALTER TABLE ', h.inhrelid::regclass, ' NO INHERIT ', o.name)
      FROM ours o JOIN pg_catalog.pg_inherits h ON h.inhparent = o.oid JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE o.relkind = 'r' AND n.nspname <> '_timescaledb_internal'
    UNION ALL SELECT 8, pg_catalog.concat('function ', p.oid::regprocedure), pg_catalog.concat('DROP ROUTINE ', p.oid::regprocedure)
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = $1 AND p.proname = ANY ($4::text[]) AND ${NOT_OF_EXTENSION("pg_proc", "p.oid")}
    UNION ALL SELECT 9, pg_catalog.concat('operator ', p.oid::regoperator), pg_catalog.concat('DROP OPERATOR ', p.oid::regoperator)
      FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
        JOIN pg_catalog.pg_type l ON l.oid = p.oprleft JOIN pg_catalog.pg_type r ON r.oid = p.oprright
      WHERE n.nspname = $1 AND p.oprname = ANY ($5::text[]) AND ${NOT_OF_EXTENSION("pg_operator", "p.oid")}
        AND l.typnamespace = 'pg_catalog'::regnamespace AND r.typnamespace = 'pg_catalog'::regnamespace
    UNION ALL SELECT 10, pg_catalog.concat('cast from ', c.castsource::regtype, ' to ', c.casttarget::regtype), pg_catalog.concat('DROP CAST (', c.castsource::regtype, ' AS ', c.casttarget::regtype, ')')
      FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type l ON l.oid = c.castsource JOIN pg_catalog.pg_type r ON r.oid = c.casttarget
      WHERE c.oid >= 16384 AND l.typnamespace = 'pg_catalog'::regnamespace AND r.typnamespace = 'pg_catalog'::regnamespace
        AND ${NOT_OF_EXTENSION("pg_cast", "c.oid")})
  SELECT part, undo FROM parts ORDER BY rank, part`;

const KEYS = OWN_TABLES.map((name) => TABLES.find((table) => table.name === name)?.key ?? "").map((key) =>
  key.replaceAll('"', "").split(", ").sort().join(", "),
);

/** @returns null where there are none, or the database refuses to tell. */
export async function findForeignParts(
  connection: PostgresConnection,
  schema: string,
): Promise<{ finding: string; advice: string } | null> {
  const lists = [OWN_TABLES, KEYS, SERVER_FUNCTIONS, SERVER_OPERATORS].map(textArray);
  const asked = connection.run<{ part: string; undo: string }>(PARTS_SQL, [schema, ...lists]);
  const parts = await unlessRefused<{ part: string; undo: string }[]>(asked, []);
  if (parts.length === 0) return null;
  const told = parts.slice(0, TOLD_MAX);
  const more = parts.length > TOLD_MAX ? `, and ${parts.length - TOLD_MAX} more` : "";
  return {
    finding: `not the server's own, and may refuse or change what it stores: ${told.map(({ part }) => part).join(", ")}${more}`,
    advice: `if nobody needs it: ${told.map(({ undo }) => undo).join("; ")}`,
  };
}
