/**
 * Compares PostgreSQL's catalog before and after a user's transaction, within it. It finds changes
 * of the server's tables, of what hangs on them, of where their names lead, and of the bookkeeping,
 * whatever made them. DESIGN.md, "Users' SQL", says more.
 */
import { badRequest } from "../../protocol/errors.ts";
import { TABLE_NAMES } from "../model/kinds.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection, RunOptions } from "./connection.ts";
import { BOOKKEEPING, OWN_TABLES, SERVER_FUNCTIONS, SERVER_OPERATORS } from "./own-names.ts";

/** The server's own triggers delete its rows, whoever changes a close. */
const DELETED_BY_TRIGGERS = "daily_checkpoints";
/** Types of users have ids from here on. A range type brings a cast to its multirange along. */
const USERS_FROM = 16_384;

/**
 * It leaves out counts, sizes and files of the data tables, which other sessions change all the
 * time. It takes whole catalog rows where it can, so it sees the columns of every version.
 */
const SHAPE_SQL = `WITH ours AS (
    SELECT c.oid, c.relname, c.relowner, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relispartition,
      c.reloptions, c.relacl, c.relfilenode FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])),
  numbering AS (
    SELECT c.oid, c.relname, c.relfilenode, c.relowner FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.refobjid IN (SELECT oid FROM ours) AND d.classid = 'pg_catalog.pg_class'::regclass AND c.relkind = 'S')
  SELECT pg_catalog.md5(pg_catalog.concat_ws('|',
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, relname, relowner, relkind, relpersistence, relrowsecurity,
        relforcerowsecurity, relispartition, reloptions, relacl, CASE WHEN relname = ANY ($3::text[]) THEN relfilenode END), ','
      ORDER BY relname) FROM ours),
    (SELECT pg_catalog.string_agg(a::text, ',' ORDER BY a.attrelid, a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid IN (SELECT oid FROM ours) AND a.attnum > 0),
    (SELECT pg_catalog.string_agg(d::text, ',' ORDER BY d.oid) FROM pg_catalog.pg_attrdef d WHERE d.adrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(k::text, ',' ORDER BY k.oid) FROM pg_catalog.pg_constraint k
      WHERE k.conrelid IN (SELECT oid FROM ours) OR k.confrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', i.indrelid, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready), ','
      ORDER BY pg_catalog.pg_get_indexdef(i.indexrelid)) FROM pg_catalog.pg_index i WHERE i.indrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(t::text, ',' ORDER BY t.oid) FROM pg_catalog.pg_trigger t WHERE t.tgrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(p::text, ',' ORDER BY p.oid) FROM pg_catalog.pg_proc p
      WHERE p.oid IN (SELECT t.tgfoid FROM pg_catalog.pg_trigger t WHERE t.tgrelid IN (SELECT oid FROM ours))),
    (SELECT pg_catalog.string_agg(r::text, ',' ORDER BY r.oid) FROM pg_catalog.pg_rewrite r WHERE r.ev_class IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(y::text, ',' ORDER BY y.oid) FROM pg_catalog.pg_policy y WHERE y.polrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(h::text, ',' ORDER BY h.inhrelid) FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE h.inhparent IN (SELECT oid FROM ours) AND n.nspname <> '_timescaledb_internal' OR h.inhrelid IN (SELECT oid FROM ours)),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', s::text, n::text), ',' ORDER BY s.seqrelid)
      FROM pg_catalog.pg_sequence s JOIN numbering n ON n.oid = s.seqrelid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', w.name, pg_catalog.to_regclass(w.name)::oid), ',' ORDER BY w.name)
      FROM pg_catalog.unnest($2::text[]) AS w(name)),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger t WHERE t.tgdeferrable AND NOT t.tgisinternal),
    (SELECT pg_catalog.string_agg(p.oid::text, ',' ORDER BY p.oid) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE p.proname = ANY ($4::text[]) AND (n.nspname = $1 OR n.nspname = ANY (pg_catalog.current_schemas(true)))),
    (SELECT pg_catalog.string_agg(o.oid::text, ',' ORDER BY o.oid) FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
      WHERE o.oprname = ANY ($5::text[]) AND (n.nspname = $1 OR n.nspname = ANY (pg_catalog.current_schemas(true)))),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cast
      WHERE castsource < ${USERS_FROM} AND casttarget < ${USERS_FROM}))) AS shape,
  (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(oid) + pg_catalog.pg_stat_get_xact_tuples_updated(oid)
      + CASE WHEN relname = '${DELETED_BY_TRIGGERS}' THEN 0 ELSE pg_catalog.pg_stat_get_xact_tuples_deleted(oid) END)
    FROM ours WHERE relname = ANY ($3::text[]))::text AS written,
  (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(a.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(a.oid)
      + pg_catalog.pg_stat_get_xact_tuples_deleted(a.oid))
    FROM (SELECT pg_catalog.to_regclass(w.name)::oid AS oid FROM pg_catalog.unnest($6::text[]) AS w(name)) a)::text AS administered,
  (SELECT pg_catalog.max(pg_catalog.pg_sequence_last_value(oid)) FROM numbering
    WHERE pg_catalog.has_sequence_privilege(oid, 'SELECT'))::text AS number`;

/**
 * These catalogs decide whether the server can connect tomorrow, and how its sessions begin. An
 * administrator may change them meanwhile, so only writes of this session count.
 */
const ADMINISTRATION = [
  "pg_authid",
  "pg_auth_members",
  "pg_database",
  "pg_db_role_setting",
  "pg_event_trigger",
  "pg_parameter_acl",
  "pg_tablespace",
].map((name) => `pg_catalog.${name}`);

/** Other sessions may log so many updates meanwhile. */
const NUMBERS_MEANWHILE = 1_000_000_000;
/** A rollback doesn't undo setval. Ids of updates must grow, and may have gaps. */
const RESTORE_SQL = `SELECT pg_catalog.setval(c.oid::regclass, greatest(1, $2::bigint, (SELECT pg_catalog.max(id) FROM update_log)))::text AS number
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
  WHERE d.refobjid = pg_catalog.to_regclass($1) AND d.classid = 'pg_catalog.pg_class'::regclass AND c.relkind = 'S'
    AND (pg_catalog.pg_sequence_last_value(c.oid) < $2::bigint
      OR pg_catalog.pg_sequence_last_value(c.oid) - $2::bigint > ${NUMBERS_MEANWHILE})`;

export interface TableState {
  shape: string;
  written: string;
  administered: string;
  /** The last id of an update; null if there is none, or the role may not see it. */
  number: string | null;
}

export class TableGuard {
  readonly #params: unknown[];

  constructor(schema: string) {
    this.#params = [
      schema,
      ...[OWN_TABLES, BOOKKEEPING, SERVER_FUNCTIONS, SERVER_OPERATORS, ADMINISTRATION].map(textArray),
    ];
  }

  /** Runs on a session of the server's own, after a transaction that may have set the sequence. */
  async restoreNumber(connection: PostgresConnection, { number }: TableState): Promise<void> {
    if (number !== null) await connection.run(RESTORE_SQL, ["update_log", number]);
  }

  async look(connection: PostgresConnection, options: RunOptions): Promise<TableState> {
    const [state] = await connection.run<TableState>(SHAPE_SQL, this.#params, options);
    return state!;
  }
}

/** @throws RequestError 400 the transaction must not be committed. */
export function refuseChanges(before: TableState, after: TableState): void {
  const kept = "nothing of it was kept";
  if (before.shape !== after.shape)
    throw badRequest(
      `execute_sql: the statement changes the server's own tables, what hangs on them, or what their names lead to; ${kept}`,
      `Rows of ${TABLE_NAMES.join(", ")} may be inserted, updated and deleted.`,
    );
  const [was, is] = [Number(before.number ?? 0), Number(after.number ?? 0)];
  if (is < was || is - was > NUMBERS_MEANWHILE)
    throw badRequest(
      `execute_sql: the statement sets the sequence that numbers the server's updates; ${kept}`,
    );
  if (before.administered !== after.administered)
    throw badRequest(
      `execute_sql: the statement changes roles, databases, their settings or event triggers; ${kept}`,
      "That is administration of the database server.",
    );
  if (before.written !== after.written)
    throw badRequest(`execute_sql: the statement writes into the server's bookkeeping; ${kept}`);
}
