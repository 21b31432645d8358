/** `doctor` on a SQLite file. It opens the file read-only and leaves nothing beside it. */
import { type Database, SQLiteError } from "bun:sqlite";
import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fileModeOf } from "../../config/file-mode.ts";
import { type DiagnosisStep, type Finding, fail, ok, warning } from "../diagnosis.ts";
import {
  describePlainSchema,
  diagnoseFileFirst,
  diagnoseMode,
  emptyFile,
  noAccess,
  notAFile,
  readBytes,
} from "../file-diagnosis.ts";
import { diagnoseFolder } from "../folder-diagnosis.ts";
import { formatBytes } from "../format-bytes.ts";
import { isInWalMode, openInspectingConnection } from "./connection.ts";
import { MAGIC } from "./file-format.ts";
import { isDatabaseFileLocked } from "./file-lock.ts";
import { foreignHooks, structureFault } from "./file-structure.ts";
import { inspectSchema, SCHEMA_VERSION, type SchemaState } from "./schema.ts";

const DUCKDB_MAGIC = "DUCK";
const DUCKDB_MAGIC_OFFSET = 8;
/** Commits fold a WAL in at a 16th of this: something keeps them from it. */
const WAL_LARGE_BYTES = 256 * 1024 * 1024;
/** The first fault says enough. */
const FAULTS_SHOWN_MAX = 3;
const HOOKS_SHOWN_MAX = 10;
const FEATURES: Record<string, string> = {
  ENABLE_FTS5: "full-text search",
  ENABLE_RTREE: "R-tree",
  ENABLE_MATH_FUNCTIONS: "mathematical functions",
};

export async function* diagnoseSqlite(path: string): AsyncGenerator<DiagnosisStep> {
  if (!(yield* diagnoseFileFirst(path, diagnoseFile))) return;
  yield diagnoseMode([path, `${path}-wal`, `${path}-shm`], fileModeOf(process.env));
  yield await diagnoseLock(path);
  const sizeBytes = statSync(path).size;
  let schema: SchemaState | null = null;
  yield { begin: "open", optional: false };
  try {
    using db = openInspectingConnection(path);
    schema = inspectSchema(db);
    yield diagnoseEngine(db);
    yield describeSchema(schema, sizeBytes);
    if (schema.state === "current") yield* diagnoseHooks(db);
  } catch (error) {
    yield cannotOpen(error, path);
  }
  yield* diagnoseJournal(path, schema);
  // An upgrade writes every row anew, next to those that are there.
  yield* diagnoseFolder(dirname(realpathSync(path)), schema?.state === "old" ? sizeBytes * 2 : 0);
  if (schema === null) return;
  yield { begin: "integrity", optional: true };
  yield diagnoseIntegrity(path);
}

function diagnoseFile(path: string): Finding {
  const stat = statSync(path);
  if (!stat.isFile()) return notAFile(path);
  let head: string;
  try {
    head = readBytes(path, "r", 0, MAGIC.length);
    accessSync(path, constants.W_OK);
  } catch (error) {
    return noAccess(path, error);
  }
  const size = formatBytes(stat.size);
  if (stat.size === 0) return emptyFile(path);
  if (head.startsWith(MAGIC)) return ok("file", `${path}, ${size}`);
  if (head.slice(DUCKDB_MAGIC_OFFSET).startsWith(DUCKDB_MAGIC))
    return fail("file", `${path} is a DuckDB file`, "name it with the ending .duckdb");
  return fail(
    "file",
    `${path} is no SQLite database: it begins with ${JSON.stringify(head)}`,
    "give another path, or put back a copy of the file; the server won't overwrite this one",
  );
}

async function diagnoseLock(path: string): Promise<Finding> {
  const subject = "server";
  if (process.platform !== "linux")
    return ok(subject, "whether a server has it open can't be seen on this system");
  if (await isDatabaseFileLocked(path)) {
    return warning(
      subject,
      "a stock-db-server has it open",
      "use that server's address; a second server, or an import or copy into the file, has to wait for its end",
    );
  }
  return ok(subject, "no server of this machine has it open");
}

function diagnoseEngine(db: Database): Finding {
  const version = db.query<{ version: string }, []>("SELECT sqlite_version() AS version").get()?.version;
  const options = db.query("SELECT compile_options FROM pragma_compile_options").values().flat();
  const features = Object.entries(FEATURES)
    .filter(([option]) => options.includes(option))
    .map(([, name]) => name);
  const named = features.map((name) => `, ${name}`).join("");
  return ok("engine", `SQLite ${version}; SQL has window functions, JSON${named}`);
}

function describeSchema(schema: SchemaState, sizeBytes: number): Finding {
  const subject = "schema";
  switch (schema.state) {
    case "behind":
      return warning(
        subject,
        `version ${schema.version}; starting the server brings it to ${SCHEMA_VERSION}, which adds tables and rewrites no rows of yours`,
        `copy the file first (${formatBytes(sizeBytes)}) if the older server may be needed again: it can't open it afterwards`,
      );
    case "old": {
      const created = schema.created.length === 0 ? "" : `, creates ${schema.created.join(", ")}`;
      const own = schema.own.length === 0 ? "" : `, keeps your columns ${schema.own.join(", ")}`;
      return warning(
        subject,
        `a file of the Python server; starting the server upgrades it in one transaction: rewrites ${schema.rebuilt.join(", ")}${created}${own}`,
        `copy the file first (${formatBytes(sizeBytes)}): the Python server can't write to it afterwards`,
      );
    }
    default:
      return describePlainSchema(schema, SCHEMA_VERSION);
  }
}

/**
 * What other programs have put on the server's tables. The server tells the same when it starts.
 */
function* diagnoseHooks(db: Database): Generator<Finding> {
  const fault = structureFault(db);
  if (fault !== null)
    yield warning(
      "tables",
      fault,
      "put back what was changed, or a copy of the file; triggers are put right when the server starts",
    );
  for (const hook of foreignHooks(db).slice(0, HOOKS_SHOWN_MAX))
    yield warning("tables", hook, "take it away if it isn't meant");
}

function cannotOpen(error: unknown, path: string): Finding {
  if (!(error instanceof SQLiteError)) throw error;
  const journal = existsSync(`${realpathSync(path)}-journal`);
  const advice =
    error.code === "SQLITE_BUSY"
      ? "another program holds a lock on it: end that program, or wait for it"
      : journal
        ? "a write was interrupted, and its journal lies beside the file: open it once with a program that may write, such as the server"
        : "put back a copy of the file, or try sqlite3's .recover";
  return fail("open", `${error.message} (${error.code})`, advice);
}

function* diagnoseJournal(path: string, schema: SchemaState | null): Generator<Finding> {
  const subject = "WAL";
  const wal = `${realpathSync(path)}-wal`;
  const bytes = existsSync(wal) ? statSync(wal).size : 0;
  if (bytes >= WAL_LARGE_BYTES) {
    yield warning(
      subject,
      `${basename(wal)} has ${formatBytes(bytes)}`,
      "a program reads without end, or the server was killed: end that program; stopping the server folds the WAL in",
    );
  } else if (isInWalMode(path)) {
    yield ok(subject, bytes === 0 ? "on, and folded in" : `on, ${formatBytes(bytes)}`);
  } else if (schema !== null) {
    yield ok(subject, "off; the server turns it on when it starts");
  }
}

/** May take as long as reading the whole file does. */
function diagnoseIntegrity(path: string): Finding {
  const subject = "integrity";
  const before = statSync(path);
  const faults = checkQuickly(path);
  if (faults.length === 0) return ok(subject, "quick_check found no fault");
  const after = statSync(path);
  if (after.mtimeMs !== before.mtimeMs || after.size !== before.size) {
    return warning(
      subject,
      "the file was written to while it was checked, so nothing can be said",
      "run it again",
    );
  }
  return fail(
    subject,
    `quick_check: ${faults.join("; ")}`,
    "stop the server, keep a copy of the file and its -wal, then put back a backup or try sqlite3's .recover",
  );
}

function checkQuickly(path: string): string[] {
  try {
    using db = openInspectingConnection(path);
    const lines = db.query(`PRAGMA quick_check(${FAULTS_SHOWN_MAX})`).values().flat().map(String);
    return lines.filter((line) => line !== "ok");
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    return [error.message];
  }
}
