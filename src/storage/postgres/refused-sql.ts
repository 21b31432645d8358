/** Refuses statements, functions and views by the names that PostgreSQL's parser gives them. */
import { refused } from "../sql-answer.ts";
import { OWN_SEQUENCE } from "./own-names.ts";
import type { Node } from "./sql-parser.ts";
import { type Field, qualified, stringsOf } from "./statement-tree.ts";

const ADMINISTRATION = "it is administration of the database server";
const LATER = "it lets something run when the request is over";
const NO_FILES = "it reads or writes files beside the tables";
const NO_SESSION = "nothing of a request outlasts it";
const ONE_STATEMENT = "it runs a text as SQL of its own; send that as the statement";
const ONE_TRANSACTION = "each request is one transaction of its own";
const OTHER_DATABASES = "a request may use only the server's own database";
const OWN_SETTINGS = "settings of the database are the server's";
const PASSWORDS = "it holds passwords";

const words = (text: string): string[] => text.trim().split(/\s+/);

const REFUSED_STATEMENTS: Record<string, [what: string, why: string]> = {
  TransactionStmt: ["a transaction of its own", ONE_TRANSACTION],
  VariableSetStmt: ["SET", OWN_SETTINGS],
  ConstraintsSetStmt: ["SET CONSTRAINTS", OWN_SETTINGS],
  PrepareStmt: ["PREPARE", NO_SESSION],
  ExecuteStmt: ["EXECUTE", NO_SESSION],
  DeallocateStmt: ["DEALLOCATE", NO_SESSION],
  DiscardStmt: ["DISCARD", NO_SESSION],
  DeclareCursorStmt: ["DECLARE", NO_SESSION],
  FetchStmt: ["FETCH", NO_SESSION],
  ClosePortalStmt: ["CLOSE", NO_SESSION],
  ListenStmt: ["LISTEN", NO_SESSION],
  UnlistenStmt: ["UNLISTEN", NO_SESSION],
  LockStmt: ["LOCK", NO_SESSION],
  CopyStmt: ["COPY", NO_FILES],
};

/** Every other statement counts as administration, also one of a later PostgreSQL. */
const ALLOWED_STATEMENTS = new Set(
  words(`
  Select VariableShow Explain Insert Update Delete Merge Truncate Do Call Notify
  Create CreateTableAs AlterTable Rename Drop Comment Grant View RefreshMatView Index
  CreateSeq AlterSeq CreateStats AlterStats CreateSchema AlterObjectSchema AlterObjectDepends
  AlterOwner CreateForeignTable CreateFunction AlterFunction CreateTrig Rule CreatePolicy AlterPolicy
  Define CompositeType CreateEnum AlterEnum CreateRange CreateDomain AlterDomain AlterType
  AlterOperator CreateOpClass CreateOpFamily AlterOpFamily AlterCollation AlterTSDictionary
  AlterTSConfiguration Vacuum Cluster Reindex`).map((name) => `${name}Stmt`),
);

/** Objects of the whole database or of the database server. */
const REFUSED_OBJECTS = new Set(
  words(`
  DATABASE ROLE TABLESPACE PARAMETER_ACL EXTENSION LANGUAGE FOREIGN_SERVER FDW EVENT_TRIGGER
  PUBLICATION SUBSCRIPTION ACCESS_METHOD CAST TRANSFORM CONVERSION LARGEOBJECT USER_MAPPING`).map(
    (name) => `OBJECT_${name}`,
  ),
);
const OBJECT_FIELDS = ["removeType", "renameType", "objectType", "objtype", "kind"];

/** A prefix refuses every function whose name begins with it. */
const REFUSED_FUNCTIONS: [prefixes: string[], reason: string][] = [
  [
    words(`pg_read_ pg_ls_ pg_stat_file pg_file_ lo_import lo_export pg_current_logfile
      pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings`),
    NO_FILES,
  ],
  [words("dblink postgres_fdw_"), OTHER_DATABASES],
  [["set_config"], OWN_SETTINGS],
  [words("pg_advisory_ pg_try_advisory_ pg_export_snapshot"), NO_SESSION],
  [
    words(`query_to_xml cursor_to_xml table_to_xml schema_to_xml database_to_xml ts_stat ts_rewrite
      crosstab connectby xpath_table`),
    ONE_STATEMENT,
  ],
  [words("add_job alter_job run_job"), LATER],
  [
    words(`pg_terminate_backend pg_cancel_backend pg_log_backend_memory_contexts pg_reload_conf
      pg_rotate_logfile pg_promote pg_switch_ pg_create_ pg_drop_replication pg_copy_
      pg_sync_replication pg_replication_ pg_logical_ pg_backup_ pg_start_backup pg_stop_backup
      pg_wal_replay_ pg_stat_reset pg_stat_statements_reset pg_stat_force_next_flush pg_restore_
      pg_clear_ pg_set_attribute_stats pg_set_relation_stats binary_upgrade_`),
    ADMINISTRATION,
  ],
];

/**
 * VOLATILE functions without effects. A reading statement may call these; a statement that calls
 * another volatile function of PostgreSQL counts as writing.
 */
const HARMLESS = new Set(
  words(`
  random random_normal setseed clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7
  pg_sleep pg_sleep_for pg_sleep_until currval lastval pg_sequence_last_value lo_get
  pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size
  pg_tablespace_size pg_column_size pg_is_in_recovery pg_current_wal_lsn pg_current_wal_insert_lsn
  pg_current_wal_flush_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_blocking_pids pg_safe_snapshot_blocking_pids
  pg_isolation_test_session_is_blocked pg_lock_status pg_prepared_statement pg_cursor
  pg_listening_channels pg_notification_queue_usage pg_trigger_depth pg_xact_commit_timestamp
  pg_xact_status txid_status pg_get_multixact_members has_lo_privilege row_security_active
  inet_client_addr pg_is_wal_replay_paused`),
);

/** These views read files of the database server, or hold secrets. */
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

/** @param name of the statement's node. @throws RequestError 400. */
export function refuseStatement(name: string, statement: Node): void {
  const rule = Object.hasOwn(REFUSED_STATEMENTS, name) ? REFUSED_STATEMENTS[name] : undefined;
  if (rule !== undefined) throw refused(verbOf(statement) ?? rule[0], rule[1]);
  if (!ALLOWED_STATEMENTS.has(name)) throw refused(spoken(name), ADMINISTRATION);
  for (const field of OBJECT_FIELDS) {
    const object = statement[field];
    if (typeof object === "string" && REFUSED_OBJECTS.has(object))
      throw refused(
        `a change of ${object.slice("OBJECT_".length).toLowerCase().replace("_", " ")}s`,
        ADMINISTRATION,
      );
  }
}

/** @throws RequestError 400. */
export function refuseView({ key, value }: Field): void {
  const reason = key === "RangeVar" ? REFUSED_VIEWS.get(String(value.relname)) : undefined;
  if (reason !== undefined) throw refused(String(value.relname), reason);
}

/** @throws RequestError 400. */
export function refuseFunction(name: string): void {
  for (const [prefixes, reason] of REFUSED_FUNCTIONS)
    if (prefixes.some((prefix) => name.startsWith(prefix))) throw refused(name, reason);
}

/** A rollback doesn't undo setval. @throws RequestError 400. */
export function refuseOwnSequence(call: Node): void {
  const [, name] = qualified(call.funcname);
  if (name === "setval" && JSON.stringify(call.args).includes(OWN_SEQUENCE))
    throw refused("setval of the server's sequence", "the server numbers its updates with it");
}

/**
 * Finds functions by name wherever the parser reads one: in defaults, views, bodies in standard
 * SQL, behind OPERATOR and CREATE AGGREGATE, and as `value.name`, which calls a function too.
 */
export function namedFunctions({ key, value, parents }: Field): string[] {
  const names = [...stringsOf(value.funcname).slice(-1), ...stringsOf(value.objname).slice(-1)];
  if (key === "ColumnRef") {
    const fields = stringsOf(value.fields);
    if (fields.length > 1) names.push(fields.at(-1)!);
  } else if (key === "A_Indirection") names.push(...stringsOf(value.indirection));
  // An aggregate, an operator or a type gives its functions as names of types.
  else if (key === "TypeName" && parents.at(-1) === "DefineStmt") {
    const [, name] = qualified(value.names);
    if (name !== undefined) names.push(name);
  }
  return names;
}

/** @param volatile PostgreSQL's own VOLATILE functions. */
export function mayHaveEffects(names: ReadonlySet<string>, volatile: ReadonlySet<string>): boolean {
  for (const name of names) if (volatile.has(name) && !HARMLESS.has(name)) return true;
  return false;
}

/** BEGIN, ROLLBACK, RESET and others share a node. */
function verbOf({ kind }: Node): string | undefined {
  return /^(?:TRANS_STMT|VAR)_(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE|RESET)/.exec(
    String(kind),
  )?.[1];
}

/** Turns CreateExtensionStmt into `CREATE EXTENSION`. */
function spoken(name: string): string {
  return name
    .replace(/Stmt$/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toUpperCase();
}
