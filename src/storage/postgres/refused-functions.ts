/**
 * Functions that a statement may not call, by their names. They are found wherever the parser has
 * read one: in a default, a view, the body of a function in standard SQL, behind `OPERATOR` and
 * `CREATE AGGREGATE`, and as `value.name`, which calls a function too.
 */
import { refused } from "../sql-answer.ts";
import type { Node } from "./sql-parser.ts";
import { type Field, qualified, stringsOf } from "./statement-tree.ts";

const OWN_SETTINGS = "settings of the database are the server's";
const NO_SESSION = "nothing of a request outlasts it";
const NO_FILES = "it reads or writes files beside the tables";
const ONE_STATEMENT = "it runs a text as SQL of its own; send that as the statement";
const OTHER_DATABASES = "a request may use only the server's own database";
const LATER = "it lets something run when the request is over";
const PASSWORDS = "it holds passwords";
const ADMINISTRATION = "it is administration of the database server";

/** By the beginning of their names. */
const REFUSED: [prefix: string, reason: string][] = [
  ["pg_read_", NO_FILES],
  ["pg_ls_", NO_FILES],
  ["pg_stat_file", NO_FILES],
  ["pg_file_", NO_FILES],
  ["lo_import", NO_FILES],
  ["lo_export", NO_FILES],
  ["pg_current_logfile", NO_FILES],
  ["pg_hba_file_rules", NO_FILES],
  ["pg_ident_file_mappings", NO_FILES],
  ["pg_show_all_file_settings", NO_FILES],
  ["dblink", OTHER_DATABASES],
  ["postgres_fdw_", OTHER_DATABASES],
  ["set_config", OWN_SETTINGS],
  ["pg_advisory_", NO_SESSION],
  ["pg_try_advisory_", NO_SESSION],
  ["pg_export_snapshot", NO_SESSION],
  ["query_to_xml", ONE_STATEMENT],
  ["cursor_to_xml", ONE_STATEMENT],
  ["table_to_xml", ONE_STATEMENT],
  ["schema_to_xml", ONE_STATEMENT],
  ["database_to_xml", ONE_STATEMENT],
  ["ts_stat", ONE_STATEMENT],
  ["ts_rewrite", ONE_STATEMENT],
  ["crosstab", ONE_STATEMENT],
  ["connectby", ONE_STATEMENT],
  ["xpath_table", ONE_STATEMENT],
  ["add_job", LATER],
  ["alter_job", LATER],
  ["run_job", LATER],
  ["pg_terminate_backend", ADMINISTRATION],
  ["pg_cancel_backend", ADMINISTRATION],
  ["pg_log_backend_memory_contexts", ADMINISTRATION],
  ["pg_reload_conf", ADMINISTRATION],
  ["pg_rotate_logfile", ADMINISTRATION],
  ["pg_promote", ADMINISTRATION],
  ["pg_switch_", ADMINISTRATION],
  ["pg_create_", ADMINISTRATION],
  ["pg_drop_replication", ADMINISTRATION],
  ["pg_copy_", ADMINISTRATION],
  ["pg_sync_replication", ADMINISTRATION],
  ["pg_replication_", ADMINISTRATION],
  ["pg_logical_", ADMINISTRATION],
  ["pg_backup_", ADMINISTRATION],
  ["pg_start_backup", ADMINISTRATION],
  ["pg_stop_backup", ADMINISTRATION],
  ["pg_wal_replay_", ADMINISTRATION],
  ["pg_stat_reset", ADMINISTRATION],
  ["pg_stat_statements_reset", ADMINISTRATION],
  ["pg_stat_force_next_flush", ADMINISTRATION],
  ["pg_restore_", ADMINISTRATION],
  ["pg_clear_", ADMINISTRATION],
  ["pg_set_attribute_stats", ADMINISTRATION],
  ["pg_set_relation_stats", ADMINISTRATION],
  ["binary_upgrade_", ADMINISTRATION],
];

/**
 * Functions of PostgreSQL that may give another answer each time (VOLATILE), and do nothing else. A
 * reading statement may call these; one that calls another volatile function of PostgreSQL counts
 * as writing, whatever that function does.
 */
const HARMLESS = new Set([
  ...[
    "random",
    "random_normal",
    "setseed",
    "clock_timestamp",
    "timeofday",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
  ],
  ...["pg_sleep", "pg_sleep_for", "pg_sleep_until", "currval", "lastval", "pg_sequence_last_value", "lo_get"],
  ...["pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size"],
  ...[
    "pg_tablespace_size",
    "pg_column_size",
    "pg_is_in_recovery",
    "pg_current_wal_lsn",
    "pg_current_wal_insert_lsn",
  ],
  ...[
    "pg_current_wal_flush_lsn",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
  ],
  ...[
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_isolation_test_session_is_blocked",
    "pg_lock_status",
  ],
  ...[
    "pg_prepared_statement",
    "pg_cursor",
    "pg_listening_channels",
    "pg_notification_queue_usage",
    "pg_trigger_depth",
  ],
  ...["pg_xact_commit_timestamp", "pg_xact_status", "txid_status", "pg_get_multixact_members"],
  ...["has_lo_privilege", "row_security_active", "inet_client_addr", "pg_is_wal_replay_paused"],
]);

/** The functions that this part of the statement calls, or names as what is to be called. */
export function namedFunctions({ key, value, parents }: Field): string[] {
  const names = [...stringsOf(value.funcname).slice(-1), ...stringsOf(value.objname).slice(-1)];
  if (key === "ColumnRef") {
    const fields = stringsOf(value.fields);
    if (fields.length > 1) names.push(fields.at(-1)!);
  } else if (key === "A_Indirection") names.push(...stringsOf(value.indirection));
  // Of an aggregate, an operator, a type: the functions are given like names of types.
  else if (key === "TypeName" && parents.at(-1) === "DefineStmt") {
    const [, name] = qualified(value.names);
    if (name !== undefined) names.push(name);
  }
  return names;
}

/** Views of PostgreSQL that read files of the database server, or hold what opens it. */
const REFUSED_VIEWS = new Map([
  ["pg_hba_file_rules", NO_FILES],
  ["pg_ident_file_mappings", NO_FILES],
  ["pg_file_settings", NO_FILES],
  ["pg_authid", PASSWORDS],
  ["pg_shadow", PASSWORDS],
  ["pg_subscription", PASSWORDS],
  ["pg_user_mapping", PASSWORDS],
  ["pg_user_mappings", PASSWORDS],
]);

/** @throws RequestError 400. */
export function refuseView({ key, value }: Field): void {
  const reason = key === "RangeVar" ? REFUSED_VIEWS.get(String(value.relname)) : undefined;
  if (reason !== undefined) throw refused(String(value.relname), reason);
}

/** @throws RequestError 400. */
export function refuseFunction(name: string): void {
  const rule = REFUSED.find(([prefix]) => name.startsWith(prefix));
  if (rule !== undefined) throw refused(name, rule[1]);
}

/**
 * A sequence of the server's own can't be set: that isn't undone with the transaction.
 *
 * @throws RequestError 400.
 */
export function refuseOwnSequence(call: Node, sequences: (text: string) => boolean): void {
  const [, name] = qualified(call.funcname);
  if (name !== "setval") return;
  if (JSON.stringify(call.args).split('"').some(sequences))
    throw refused("setval of the server's sequence", "the server numbers its updates with it");
}

/** @param volatile of the functions of PostgreSQL, those that say so. */
export function mayHaveEffects(names: ReadonlySet<string>, volatile: ReadonlySet<string>): boolean {
  for (const name of names) if (volatile.has(name) && !HARMLESS.has(name)) return true;
  return false;
}
