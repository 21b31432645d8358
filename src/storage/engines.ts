/** The table of engines, and which of them a `--db-file` means. */
import { redact, SCHEME } from "../config/redact.ts";
import type { Settings } from "../config/settings.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import type { TransferReader } from "./contract.ts";
import { DUCKDB } from "./duckdb/engine.ts";
import type { DatabaseSettings, Engine, TransferTarget } from "./engine.ts";
import { POSTGRES } from "./postgres/engine.ts";
import { REMOTE } from "./remote/engine.ts";
import { SQLITE } from "./sqlite/engine.ts";

export const ENGINES: readonly Engine[] = [SQLITE, DUCKDB, POSTGRES, REMOTE];

/** Schemes of engines that the server before this one knew. */
const MISSED: Readonly<Record<string, string>> = { "questdb:": "QuestDB" };

const ENDINGS = ENGINES.flatMap(({ forms }) => forms.endings ?? []);
const PATH = `a path ending in ${list(ENDINGS, " or ")}`;
const EXPECTED = `expected ${list([PATH, ...ENGINES.flatMap(({ forms }) => forms.expected ?? [])], ", or ")}`;

/**
 * Which engine a `--db-file` value means: by its scheme, else its form
 * (host:port:database:user:password, host:port), else the ending of the path, in any case of
 * letters.
 *
 * @param source The flag or variable that the value came from, for the error.
 * @returns The engine, and which of its names is meant.
 * @throws UsageError It means no engine, or one that isn't supported. Passwords are hidden in the
 *   message.
 */
export function describeDatabase(dbFile: string, source = "--db-file"): { engine: Engine; name: string } {
  const shown = quoted(redact(dbFile));
  if (dbFile === ":memory:") {
    const reason = "a database in memory can't be shared by the processes of this server";
    throw new UsageError(`${source}: ${reason}, got ${shown}; ${EXPECTED}`);
  }
  const scheme = SCHEME.exec(dbFile)?.[1]?.toLowerCase();
  const missed = MISSED[scheme ?? ""];
  if (missed !== undefined) {
    const supported = ENGINES.flatMap(({ names }) => Object.values(names)).join(", ");
    throw new UsageError(
      `${source}: ${missed} isn't supported yet, got ${shown}; supported: ${supported} (${EXPECTED})`,
    );
  }
  const engine = dbFile.includes("\0") ? undefined : recognise(dbFile, scheme);
  if (engine === undefined) throw new UsageError(`${source}: ${EXPECTED}, got ${shown}`);
  engine.check?.(dbFile, source);
  return { engine, name: engine.forms.schemes?.[scheme ?? ""] ?? Object.keys(engine.names)[0]! };
}

/** @throws UsageError There are replicas, and the engine has none, or they can't be its. */
export function checkReplicas(settings: Pick<Settings, "dbFile" | "readReplicas">): void {
  const { dbFile, readReplicas } = settings;
  if (readReplicas.length === 0) return;
  const { engine } = describeDatabase(dbFile);
  if (engine.checkReplicas === undefined)
    throw new UsageError(`--read-replicas: expected PostgreSQL in --db-file, got ${quoted(redact(dbFile))}`);
  engine.checkReplicas(settings);
}

/** @param name The first of its names. @throws Error There is none of that name. */
export function engineNamed(name: string): Engine {
  const engine = ENGINES.find(({ names }) => name in names);
  if (engine === undefined) throw new Error(`there is no engine ${quoted(name)}`);
  return engine;
}

/** As the engine's own. */
export function openToRead(dbFile: string): Promise<TransferReader | null> {
  return describeDatabase(dbFile).engine.openToRead(dbFile);
}

/** As the engine's own. */
export function openTarget(settings: DatabaseSettings): Promise<TransferTarget> {
  return describeDatabase(settings.dbFile).engine.openTarget(settings);
}

function recognise(dbFile: string, scheme: string | undefined): Engine | undefined {
  if (scheme !== undefined) return ENGINES.find(({ forms }) => forms.schemes?.[scheme]);
  const bare = ENGINES.find(({ forms }) => forms.bare?.test(dbFile));
  // SQLite would read "file:" as a URI with options of its own.
  if (bare !== undefined || /^file:/i.test(dbFile)) return bare;
  const ending = /\.[^./]+$/.exec(dbFile)?.[0].toLowerCase() ?? "";
  return ENGINES.find(({ forms }) => forms.endings?.includes(ending));
}

function list(items: readonly string[], beforeLast: string): string {
  return items.slice(0, -1).join(", ") + beforeLast + items.at(-1);
}
