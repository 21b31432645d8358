/**
 * Refuses functions by the text of users' SQL: DuckDB shows its parse of only some statements, and
 * one run of such a function is too much. DuckDB knows no escapes within names, so every occurrence
 * of a name counts, in strings and comments too. Names that columns may have pass only before text
 * that can't begin a call.
 */
import { refused } from "../sql-answer.ts";

const WHOLE_SERVER = "it acts on the whole server";
/** Closing a file gives up all of the process's locks on it: others could open it. */
const FILES = "a request may not use files";
const MEMORY = "it reads memory by address";

/** Logging to a file without write access ends the process (1.5.6). SQL as text can call any. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...reasonFor(WHOLE_SERVER, [
    "enable_logging",
    "disable_logging",
    "truncate_duckdb_logs",
    "write_log",
    "force_checkpoint",
    "enable_profile",
    "disable_profile",
    "enable_profiling",
    "disable_profiling",
    "enable_peg_parser",
    "disable_peg_parser",
    "json_execute_serialized_sql",
  ]),
  ...reasonFor(FILES, [
    "read_blob",
    "read_csv",
    "read_csv_auto",
    "read_duckdb",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_json_objects_auto",
    "read_ndjson",
    "read_ndjson_auto",
    "read_ndjson_objects",
    "read_parquet",
    "read_text",
    "sniff_csv",
    "parquet_bloom_probe",
    "parquet_file_metadata",
    "parquet_full_metadata",
    "parquet_kv_metadata",
    "parquet_metadata",
    "parquet_scan",
    "parquet_schema",
    "duckdb_secrets",
    "which_secret",
  ]),
  ...reasonFor(MEMORY, ["arrow_scan", "arrow_scan_dumb"]),
]);
const REFUSED_WORDS = new RegExp(`(?<![a-z0-9_])(?:${[...REFUSED.keys()].join("|")})(?![a-z0-9_])`, "i");

/** Columns, operators and statements have these names too. */
const REFUSED_CALLS: ReadonlyMap<string, string> = new Map([
  ["query", WHOLE_SERVER],
  ["checkpoint", WHOLE_SERVER],
  ["glob", FILES],
]);
/**
 * Blanks and a name's closing quote, then something that begins no call and no comment. DuckDB has
 * more blanks and ends of comments than other languages, so anything else may be a blank.
 */
const NO_CALL = String.raw`[ \t\n"']*(?:$|[a-z0-9_,.;:)\]}[{=<>+*%|&^~!?]|-(?!-)|/(?!\*))`;
const MAYBE_CALLED = new RegExp(
  `(?<![a-z0-9_])(${[...REFUSED_CALLS.keys()].join("|")})(?![a-z0-9_])(?!${NO_CALL})`,
  "i",
);

/** @throws RequestError 400. */
export function refuseFunctions(sql: string): void {
  const name = (REFUSED_WORDS.exec(sql)?.[0] ?? MAYBE_CALLED.exec(sql)?.[1])?.toLowerCase();
  if (name === undefined) return;
  throw refused(name, REFUSED.get(name) ?? REFUSED_CALLS.get(name) ?? WHOLE_SERVER);
}

function reasonFor(reason: string, names: string[]): [name: string, reason: string][] {
  return names.map((name) => [name, reason]);
}
