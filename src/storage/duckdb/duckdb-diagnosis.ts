/** What `doctor` finds out about a DuckDB file. It opens the file read-only, for which no other process may have it open. */
import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { DiagnosisStep, Finding } from "../diagnosis.ts";
import { diagnoseFolder, nearestFolder } from "../folder-diagnosis.ts";
import { formatBytes } from "../format-bytes.ts";
import { isOpenElsewhere, openReadOnly } from "./read-only-file.ts";
import { inspectSchema, SCHEMA_VERSION, type SchemaState, TABLE_NAMES } from "./schema.ts";
import type { Session } from "./session.ts";

const MAGIC = "DUCK";
const MAGIC_OFFSET = 8;
/** 16 times what a WAL reaches before DuckDB brings it into the file. */
const WAL_LARGE_BYTES = 256 * 1024 * 1024;

export async function* diagnoseDuckDb(path: string): AsyncGenerator<DiagnosisStep> {
  yield { begin: "file", optional: false };
  if (!existsSync(path)) {
    yield {
      level: "warning",
      subject: "file",
      finding: `there is no ${path} yet`,
      advice:
        "if it should be there, look at the path and at the working folder; if not, the server creates it",
    };
    yield* diagnoseFolder(nearestFolder(dirname(resolve(path))), 0);
    return;
  }
  const file = diagnoseFile(path);
  yield file;
  if (file.level === "fail") return;
  const sizeBytes = statSync(path).size;
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
    yield { level: "ok", subject: "server", finding: "no other process has it open" };
    const [row] = await session.rows("SELECT version()");
    yield { level: "ok", subject: "engine", finding: `DuckDB ${String(row?.[0])}` };
    const schema = await inspectSchema(session);
    yield describeSchema(schema, sizeBytes);
    yield* diagnoseFolder(folder, schema.state === "old" ? sizeBytes * 2 : 0);
    yield { begin: "integrity", optional: true };
    yield await diagnoseIntegrity(session);
  } finally {
    file.close();
  }
}

function diagnoseFile(path: string): Finding {
  const subject = "file";
  const stat = statSync(path);
  if (!stat.isFile()) {
    const advice = "give the path of a database file with --db-file";
    return { level: "fail", subject, finding: `${path} is no file`, advice };
  }
  if (stat.size === 0)
    return { level: "ok", subject, finding: `${path} is empty, a database without tables` };
  let magic: string;
  try {
    magic = readMagic(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return {
      level: "fail",
      subject,
      finding: `${path} can't be read and written: ${error.code}`,
      advice:
        "run the server as the file's owner, or change its owner and mode; EROFS: the disk is mounted read-only",
    };
  }
  if (magic === MAGIC) return { level: "ok", subject, finding: `${path}, ${formatBytes(stat.size)}` };
  return {
    level: "fail",
    subject,
    finding: `${path} is no DuckDB database`,
    advice: "give another path, or put back a copy of the file; a SQLite file is named with the ending .db",
  };
}

/** Opened as the server does, for writing too. */
function readMagic(path: string): string {
  const fd = openSync(path, "r+");
  try {
    const bytes = Buffer.alloc(MAGIC.length);
    return bytes.toString("latin1", 0, readSync(fd, bytes, 0, bytes.length, MAGIC_OFFSET));
  } finally {
    closeSync(fd);
  }
}

function diagnoseWal(path: string): Finding {
  const subject = "WAL";
  const wal = `${realpathSync(path)}.wal`;
  const bytes = existsSync(wal) ? statSync(wal).size : 0;
  if (bytes < WAL_LARGE_BYTES)
    return { level: "ok", subject, finding: bytes === 0 ? "brought into the file" : formatBytes(bytes) };
  return {
    level: "warning",
    subject,
    finding: `${basename(wal)} has ${formatBytes(bytes)}`,
    advice:
      "the next start of the server reads it, which takes a while; stopping the server brings it into the file",
  };
}

function cannotOpen(error: unknown): Finding {
  const message = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  if (isOpenElsewhere(error)) {
    return {
      level: "warning",
      subject: "server",
      finding: "another process has it open, so nothing more can be seen",
      advice:
        "if that is a stock-db-server, use its address; a second server, an import or a copy has to wait for its end",
    };
  }
  return {
    level: "fail",
    subject: "open",
    finding: message,
    advice:
      "a newer storage version: serve it with the newer server; else keep the file and its .wal, and put back a backup",
  };
}

function describeSchema(schema: SchemaState, sizeBytes: number): Finding {
  const subject = "schema";
  switch (schema.state) {
    case "current":
      return { level: "ok", subject, finding: `version ${SCHEMA_VERSION}, the one of this server` };
    case "empty":
      return { level: "ok", subject, finding: "no tables yet; the server creates them when it starts" };
    case "newer":
      return {
        level: "fail",
        subject,
        finding: `version ${schema.version}, written by a newer server; this one knows up to ${SCHEMA_VERSION}`,
        advice: "serve it with the newer server",
      };
    case "earlier":
      return {
        level: "ok",
        subject,
        finding: `version ${schema.version}; starting the server adds the log of updates, which makes it version ${SCHEMA_VERSION}`,
      };
    case "unusable":
      return {
        level: "fail",
        subject,
        finding: schema.reason,
        advice: "the server won't start on it: put back a copy of the file, or rename that table",
      };
    case "old":
      return {
        level: "warning",
        subject,
        finding: `a file of the Python server; starting the server upgrades it in one transaction: rewrites ${schema.tables.join(", ")}`,
        advice: `copy the file first (${formatBytes(sizeBytes)}): the Python server can't write to it afterwards`,
      };
  }
}

/** DuckDB keeps a checksum of every block: reading every value checks them all. */
async function diagnoseIntegrity(session: Session): Promise<Finding> {
  const subject = "integrity";
  try {
    const names = TABLE_NAMES.map((name) => `'${name}'`).join(", ");
    const tables = await session.rows(
      `SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND table_name IN (${names})`,
    );
    for (const [name] of tables) await session.rows(`SELECT bit_xor(hash(t)) FROM ${String(name)} t`);
    return {
      level: "ok",
      subject,
      finding: "every row can be read, and the checksums of its blocks are right",
    };
  } catch (error) {
    return {
      level: "fail",
      subject,
      finding: (error instanceof Error ? error.message : String(error)).split("\n")[0]!,
      advice: "stop the server, keep a copy of the file and its .wal, then put back a backup",
    };
  }
}
