/**
 * Examines a DuckDB file for `doctor`. Opens it read-only, which fails while another process has it
 * open.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fileModeOf } from "../../config/file-mode.ts";
import { messageOf } from "../../protocol/message-of.ts";
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
import { TABLE_NAMES } from "../model/kinds.ts";
import { isOpenElsewhere } from "./errors.ts";
import { MAGIC, MAGIC_OFFSET } from "./file-format.ts";
import { describeForeign } from "./own-objects.ts";
import { openReadOnly } from "./read-only-file.ts";
import { inspectSchema, SCHEMA_VERSION, type SchemaState, TABLES, texts } from "./schema.ts";
import type { Session } from "./session.ts";

/** 16 times the length that wants a checkpoint. */
const WAL_LARGE_BYTES = 256 * 1024 * 1024;
/** DuckDB's row groups have up to so many rows. */
const PART_ROWS_MAX = 122_880;
/** About 2 GB of the file. */
const LOOSE_PARTS_MANY = 4_000;

export async function* diagnoseDuckDb(path: string): AsyncGenerator<DiagnosisStep> {
  if (!(yield* diagnoseFileFirst(path, diagnoseFile))) return;
  const sizeBytes = statSync(path).size;
  yield diagnoseMode([path, `${path}.wal`], fileModeOf(process.env));
  yield diagnoseWal(path);
  if (sizeBytes > 0) yield* diagnoseContents(path, sizeBytes);
  else yield* diagnoseFolder(dirname(realpathSync(path)), 0);
}

async function* diagnoseContents(path: string, sizeBytes: number): AsyncGenerator<DiagnosisStep> {
  const folder = dirname(realpathSync(path));
  yield { begin: "open", optional: false };
  let file: Awaited<ReturnType<typeof openReadOnly>>;
  try {
    file = await openReadOnly(path);
  } catch (error) {
    yield cannotOpen(error);
    yield* diagnoseFolder(folder, 0);
    return;
  }
  const { session } = file;
  try {
    yield ok("server", "no other process has it open");
    const [row] = await session.rows("SELECT version()");
    yield ok("engine", `DuckDB ${String(row?.[0])}`);
    const schema = await inspectSchema(session);
    yield describeSchema(schema, sizeBytes);
    yield* diagnoseFolder(folder, schema.state === "old" ? sizeBytes * 2 : 0);
    yield { begin: "integrity", optional: true };
    yield await diagnoseIntegrity(session);
    const foreign = await describeForeign(session);
    if (foreign !== null) {
      yield warning(
        "foreign objects",
        `the file holds ${foreign}`,
        "the server's own statements pass macros by; an index or a constraint can make it refuse rows: drop what nobody needs with DuckDB's own program",
      );
    }
    if (schema.state === "current") {
      yield { begin: "keys", optional: true };
      yield await diagnoseKeys(session);
      yield { begin: "parts", optional: true };
      yield await diagnoseParts(session);
    }
  } finally {
    file.close();
  }
}

function diagnoseFile(path: string): Finding {
  const stat = statSync(path);
  if (!stat.isFile()) return notAFile(path);
  if (stat.size === 0) return emptyFile(path);
  let magic: string;
  try {
    // Opens for writing too, as the server does.
    magic = readBytes(path, "r+", MAGIC_OFFSET, MAGIC.length);
  } catch (error) {
    return noAccess(path, error);
  }
  if (magic === MAGIC) return ok("file", `${path}, ${formatBytes(stat.size)}`);
  return fail(
    "file",
    `${path} is no DuckDB database`,
    "give another path, or put back a copy of the file; a SQLite file is named with the ending .db",
  );
}

function diagnoseWal(path: string): Finding {
  const subject = "WAL";
  const wal = `${realpathSync(path)}.wal`;
  const bytes = existsSync(wal) ? statSync(wal).size : 0;
  if (bytes < WAL_LARGE_BYTES) return ok(subject, bytes === 0 ? "brought into the file" : formatBytes(bytes));
  return warning(
    subject,
    `${basename(wal)} has ${formatBytes(bytes)}`,
    "the next start of the server reads it, which takes a while; stopping the server brings it into the file",
  );
}

function cannotOpen(error: unknown): Finding {
  const message = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  if (isOpenElsewhere(error)) {
    return warning(
      "server",
      "another process has it open, so nothing more can be seen",
      "if that is a stock-db-server, use its address; a second server, an import or a copy has to wait for its end",
    );
  }
  return fail(
    "open",
    message,
    /corrupt|checksum/i.test(message)
      ? "keep the file and its .wal, then put back a copy"
      : "keep the file and its .wal, then put back a copy; where it says that the version is newer, serve it with the newer server",
  );
}

function describeSchema(schema: SchemaState, sizeBytes: number): Finding {
  const subject = "schema";
  switch (schema.state) {
    case "earlier":
      return ok(
        subject,
        `version ${schema.version}; starting the server brings it to ${SCHEMA_VERSION}, which adds tables and rewrites no rows of yours`,
      );
    case "old":
      return warning(
        subject,
        `a file of the Python server; starting the server upgrades it in one transaction: rewrites ${schema.tables.join(", ")}`,
        `copy the file first (${formatBytes(sizeBytes)}): the Python server can't write to it afterwards`,
      );
    default:
      return describePlainSchema(schema, SCHEMA_VERSION);
  }
}

/** No index keeps keys unique: users' SQL can store one twice. */
async function diagnoseKeys(session: Session): Promise<Finding> {
  const subject = "keys";
  try {
    const doubled: string[] = [];
    for (const { name, key } of TABLES) {
      const [row] = await session.rows(
        `SELECT count(*) FROM (SELECT 1 FROM ${name} GROUP BY ${key.join(", ")} HAVING count(*) > 1)`,
      );
      if (Number(row?.[0]) > 0) doubled.push(`${Number(row?.[0])} of ${name} (${key.join(", ")})`);
    }
    if (doubled.length === 0) return ok(subject, "no key is stored twice");
    return warning(
      subject,
      `keys that more than one row has: ${doubled.join("; ")}`,
      "reads return all of these rows; delete all but one of each by their rowid with execute_sql, after a copy of the file",
    );
  } catch (error) {
    // The cause is a table without its columns, or little memory; the rows are unharmed.
    const finding = `not counted: ${messageOf(error).split("\n")[0]!}`;
    return warning(subject, finding, "see what the other checks say");
  }
}

/**
 * Each checkpoint begins a new part, of at least 0.5 MB, in the tables that it writes: see
 * `NO_JOINING` in duckdb-file.ts.
 */
async function diagnoseParts(session: Session): Promise<Finding> {
  const subject = "parts";
  let parts = 0;
  let needed = 0;
  for (const { name } of TABLES) {
    const [row] = await session.rows(
      `SELECT (SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('${name}')), (SELECT count(*) FROM ${name})`,
    );
    parts += Number(row?.[0]);
    needed += Math.ceil(Number(row?.[1]) / PART_ROWS_MAX);
  }
  if (parts - needed < LOOSE_PARTS_MANY) return ok(subject, `${parts}, of which the rows need ${needed}`);
  return warning(
    subject,
    `the tables have ${parts} parts, where their rows need ${needed}: the file is larger and slower to read than it must be`,
    "`stock-db-server copy` into a new file, while no server has this one open, makes whole parts of them",
  );
}

/** DuckDB keeps a checksum of every block, so reading every value checks them all. */
async function diagnoseIntegrity(session: Session): Promise<Finding> {
  const subject = "integrity";
  try {
    const tables = await session.rows(
      `SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND table_name IN (${texts(TABLE_NAMES)})`,
    );
    for (const [name] of tables) await session.rows(`SELECT bit_xor(hash(t)) FROM ${String(name)} t`);
    return ok(subject, "every row can be read, and the checksums of its blocks are right");
  } catch (error) {
    return fail(
      subject,
      messageOf(error).split("\n")[0]!,
      "stop the server, keep a copy of the file and its .wal, then put back a backup",
    );
  }
}
