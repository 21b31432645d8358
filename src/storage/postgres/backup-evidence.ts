/**
 * PostgreSQL has backups of its own. This says which, and looks for what they leave: the archiver's
 * figures in the database, and base backups and dumps in a folder.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../protocol/message-of.ts";
import { type DiagnosisStep, type Finding, fail, ok, warning } from "../diagnosis.ts";
import { connectForReading } from "./open.ts";

/** What checks a backup may read much, and never asks. */
const CHECK_TIMEOUT_MS = 3_600_000;
const MANIFEST = "backup_manifest";
/** pg_dump writes it last, as text. */
const DUMP_END = "PostgreSQL database dump complete";
const DUMP_END_BYTES = 512;
const ADVICE = [
  "`pg_basebackup -X stream -c fast -D DIR/NAME` copies the whole cluster,",
  "`pg_dump -Fc -f DIR/NAME.dump` this database; pgBackRest, Barman and WAL-G keep the write-ahead",
  "log too, and can restore any moment",
].join(" ");

type Archiver = {
  mode: string;
  archived_at: string | null;
  failed_at: string | null;
  failing: boolean | null;
};

interface FoundBackup {
  path: string;
  stat: Stats;
  kind: "base" | "custom" | "text";
}

export async function* findBackups(dbFile: string, folder: string): AsyncGenerator<DiagnosisStep> {
  const archiver = yield* findArchiver(dbFile);
  const found = existsSync(folder) ? lookInto(folder) : [];
  const newest = found.at(-1);
  if (newest === undefined) {
    const finding = `there is no base backup and no dump in ${folder}`;
    yield archiver ? warning("backups", finding, ADVICE) : fail("backups", finding, ADVICE);
    return;
  }
  yield ok("backups", `${found.length} in ${folder}, the newest of ${newest.stat.mtime.toISOString()}`);
  yield await check(newest);
}

/** @returns whether the write-ahead log is archived. */
async function* findArchiver(dbFile: string): AsyncGenerator<DiagnosisStep, boolean> {
  let opened: Awaited<ReturnType<typeof connectForReading>>;
  try {
    opened = await connectForReading(dbFile);
  } catch (error) {
    yield fail("connection", messageOf(error), "see `stock-db-server doctor`");
    return false;
  }
  try {
    const [archiver] = await opened.connection.run<Archiver>(
      `SELECT current_setting('archive_mode') AS mode, last_archived_time::text AS archived_at,
         last_failed_time::text AS failed_at,
         last_failed_time > coalesce(last_archived_time, '-infinity') AS failing
       FROM pg_catalog.pg_stat_archiver`,
    );
    yield describe(archiver!);
    return archiver!.mode !== "off" && archiver!.archived_at !== null && archiver!.failing !== true;
  } finally {
    await opened.connection.close();
  }
}

function describe({ mode, archived_at, failed_at, failing }: Archiver): Finding {
  const subject = "write-ahead log";
  if (mode === "off")
    return warning(subject, "it is not archived: only the moments of backups can be restored", ADVICE);
  if (failing)
    return fail(subject, `its archiving fails, last at ${failed_at}`, "look into the log of PostgreSQL");
  if (archived_at === null)
    return warning(subject, "archive_mode is on, and nothing was archived yet", "SELECT pg_switch_wal()");
  return ok(subject, `archived, last at ${archived_at}`);
}

/** Oldest first. */
function lookInto(folder: string): FoundBackup[] {
  return readdirSync(folder)
    .flatMap((name): FoundBackup[] => {
      const path = join(folder, name);
      const stat = statSync(path);
      if (existsSync(join(path, MANIFEST))) return [{ path, stat, kind: "base" }];
      if (name.endsWith(".dump")) return [{ path, stat, kind: "custom" }];
      return name.endsWith(".sql") ? [{ path, stat, kind: "text" }] : [];
    })
    .sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs);
}

async function check({ path, stat, kind }: FoundBackup): Promise<Finding> {
  const subject = "newest backup";
  if (kind === "text") {
    return endOf(path, stat.size).includes(DUMP_END)
      ? ok(subject, `${path} is complete`)
      : fail(subject, `${path} doesn't end as pg_dump ends a file`, "make another; keep this one until then");
  }
  const [program, ...flags] = kind === "base" ? ["pg_verifybackup", "-q"] : ["pg_restore", "--list"];
  if (Bun.which(program!) === null)
    return warning(subject, `${path} can't be checked: ${program} is not installed`, `install ${program}`);
  const child = Bun.spawn([program!, ...flags, path], {
    stdout: "ignore",
    stderr: "pipe",
    timeout: CHECK_TIMEOUT_MS,
  });
  const [code, said] = await Promise.all([child.exited, child.stderr.text()]);
  if (code === 0) return ok(subject, `${path}: ${program} finds no fault`);
  return fail(subject, `${path}: ${program}: ${said.trim().slice(0, 300)}`, "make another backup");
}

function endOf(path: string, bytes: number): string {
  const end = Buffer.alloc(Math.min(bytes, DUMP_END_BYTES));
  const fd = openSync(path, "r");
  try {
    readSync(fd, end, 0, end.length, bytes - end.length);
  } finally {
    closeSync(fd);
  }
  return end.toString("utf8");
}
