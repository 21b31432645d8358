/** The command lines of `backup` and `restore`. */
import { DECLARATIONS, environmentName } from "../../config/setting-table.ts";
import { readValue } from "../../config/settings.ts";
import { quoted, UsageError } from "../../config/usage-error.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { parseFlags, readCount, readTime } from "../flags.ts";

const UNITS_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const EVERY_MIN_MS = 1_000;
const EVERY_MAX_MS = 31 * 86_400_000;
const KEEP_MAX = 100_000;
/** With `--every`; a single backup removes none of those before unless it is told to. */
const KEEP_USUAL = 48;

export interface BackupOptions {
  do: "take" | "list" | "verify";
  dbFile: string;
  to: string;
  everyMs: number | null;
  /** Null: all. */
  keep: number | null;
  all: boolean;
  /** The backups that are there may be of a database of another path. */
  moved: boolean;
  json: boolean;
}

export interface RestoreOptions {
  from: string;
  dbFile: string;
  /** In ms since 1970. Null: the newest. */
  atMs: number | null;
  replace: boolean;
  json: boolean;
}

const DB_FILE_DEFAULT = `${environmentName("dbFile")}, else ${DECLARATIONS.dbFile.default}`;

export const BACKUP_HELP = `Usage: stock-db-server backup --to DIR [--every 15m] [--keep 48]
       stock-db-server backup list --to DIR
       stock-db-server backup verify --to DIR [--all]

Makes backups of a SQLite or DuckDB database on the same machine, while a server goes on serving it.
A backup is whole and of one moment, and takes the room of what has changed since the one before.
\`restore\` puts one back. For PostgreSQL it says which tools make backups, and what is seen of them.

  --to DIR        where the backups are; a folder of one database
  --every SPAN    goes on, a backup each time this has passed, such as 30s, 15m, 1h or 1d
  --keep N        how many backups stay (default: all; with --every ${KEEP_USUAL})
  --moved         DIR has backups of this database from another place
  --all           verify: all backups instead of the newest
  --db-file PATH  as serve's (default: ${DB_FILE_DEFAULT})
  --json          print each outcome as one JSON object
  --help

Exit codes: 0 done, 1 not done, or a backup is damaged, 2 wrong usage.
`;

export const RESTORE_HELP = `Usage: stock-db-server restore --from DIR [--at TIME] [--replace] [flags]

Puts a database back from a backup while no server has it. It is looked through before it takes its
place, and begins a new epoch, so that clients that come back get a snapshot. The next server with
--audit-log tells it there.

  --from DIR      the folder that \`backup --to\` has written
  --at TIME       the newest backup that was taken by then, such as 2024-01-02T14:30 (UTC unless it
                  says otherwise), or by the end of a day; default: the newest of all
  --replace       a database that is there stays beside the new one, with another name; without
                  this flag it is an error
  --db-file PATH  as serve's (default: ${DB_FILE_DEFAULT})
  --json          print the outcome as one JSON object
  --help

Exit codes: 0 done, 1 not done: what was there is as it was, 2 wrong usage.
`;

const BACKUP_FLAGS = {
  to: { type: "string" },
  every: { type: "string" },
  keep: { type: "string" },
  all: { type: "boolean" },
  moved: { type: "boolean" },
  "db-file": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const RESTORE_FLAGS = {
  from: { type: "string" },
  at: { type: "string" },
  replace: { type: "boolean" },
  "db-file": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null: help was asked for. @throws UsageError */
export function parseBackupOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): BackupOptions | null {
  const { values, positionals } = parseFlags("backup", argv, BACKUP_FLAGS, { allowPositionals: true });
  if (values.help) return null;
  const [what = "take", ...more] = positionals;
  if (what !== "take" && what !== "list" && what !== "verify")
    throw new UsageError(`backup ${quoted(what)}: expected list or verify, or flags alone`);
  if (more.length > 0) throw new UsageError(`backup ${what}: ${quoted(more[0]!)} is one argument too many`);
  for (const flag of ["every", "keep"] as const)
    if (values[flag] !== undefined && what !== "take")
      throw new UsageError(`backup ${what}: --${flag} goes with the making of backups alone`);
  if (values.all && what !== "verify") throw new UsageError("backup: --all goes with verify alone");
  if (!values.to) throw new UsageError("backup: expected --to DIR");
  const everyMs = readSpan(values.every);
  const keep = readCount("backup: --keep", values.keep, KEEP_MAX);
  return {
    do: what,
    dbFile: readDbFile("backup", values["db-file"], env),
    to: values.to,
    everyMs,
    keep: keep ?? (everyMs === null ? null : KEEP_USUAL),
    all: values.all ?? false,
    moved: values.moved ?? false,
    json: values.json ?? false,
  };
}

/** @returns null: help was asked for. @throws UsageError */
export function parseRestoreOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): RestoreOptions | null {
  const { values } = parseFlags("restore", argv, RESTORE_FLAGS);
  if (values.help) return null;
  if (!values.from) throw new UsageError("restore: expected --from DIR");
  return {
    from: values.from,
    dbFile: readDbFile("restore", values["db-file"], env),
    atMs: values.at === undefined ? null : readMoment(values.at),
    replace: values.replace ?? false,
    json: values.json ?? false,
  };
}

function readDbFile(
  command: string,
  given: string | undefined,
  env: Record<string, string | undefined>,
): string {
  const text = given ?? (env[environmentName("dbFile")] || undefined);
  const source = given === undefined ? environmentName("dbFile") : `${command}: ${DECLARATIONS.dbFile.flag}`;
  const dbFile = text === undefined ? DECLARATIONS.dbFile.default : readValue("dbFile", text, source);
  describeDatabase(dbFile, source);
  return dbFile;
}

function readSpan(text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS_MS[unit ?? ""] ?? Number.NaN);
  if (!(ms >= EVERY_MIN_MS && ms <= EVERY_MAX_MS))
    throw new UsageError(
      `backup: --every ${quoted(text)}: expected a time such as 30s, 15m, 1h or 1d, up to 31d`,
    );
  return ms;
}

function readMoment(text: string): number {
  return Date.parse(`${readTime("restore: --at", text, "end", "instant").replace(" ", "T")}Z`);
}
