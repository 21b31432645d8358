import { settingsHelp } from "../config/render-settings.ts";
import { BACKUP_HELP, RESTORE_HELP } from "./backup/options.ts";
import { CHECK_HELP } from "./check/options.ts";
import { COPY_HELP } from "./copy/options.ts";
import { DOCTOR_HELP } from "./doctor/options.ts";
import { DELETE_HELP, RENAME_HELP } from "./edits/options.ts";
import { EXPORT_HELP } from "./export/options.ts";
import { IMPORT_HELP } from "./import/options.ts";
import { KEYS_HELP } from "./keys/options.ts";
import { REPLAY_HELP } from "./replay/options.ts";
import { TOP_HELP } from "./top/options.ts";

/** Subcommands with a page of their own. The general page is that of `serve`, the default. */
const PAGES: Readonly<Record<string, string>> = {
  check: CHECK_HELP,
  import: IMPORT_HELP,
  export: EXPORT_HELP,
  replay: REPLAY_HELP,
  copy: COPY_HELP,
  backup: BACKUP_HELP,
  restore: RESTORE_HELP,
  delete: DELETE_HELP,
  rename: RENAME_HELP,
  keys: KEYS_HELP,
  top: TOP_HELP,
  doctor: DOCTOR_HELP,
};

export const SUBCOMMANDS: readonly string[] = ["serve", ...Object.keys(PAGES)];

/** @returns the page of a subcommand, or the general page with all settings of the server. */
export function helpText(subcommand?: string): string {
  const page = subcommand !== undefined && Object.hasOwn(PAGES, subcommand) ? PAGES[subcommand] : undefined;
  return (page ?? generalHelp()).trimEnd();
}

function generalHelp(): string {
  return `Usage: stock-db-server [serve] [flags]
       stock-db-server check [URL] [flags]
       stock-db-server import FILE… [--ticker T] [flags]
       stock-db-server replay FILE… --ticker T [flags]
       stock-db-server copy --from SRC --to DST [flags]
       stock-db-server backup --to DIR [list|verify] [flags]
       stock-db-server restore --from DIR [flags]
       stock-db-server export --to DIR|FILE [flags]
       stock-db-server delete --tickers A,B --kind K [flags]
       stock-db-server rename OLD NEW [flags]
       stock-db-server config check [flags]
       stock-db-server keys add|list|rotate|revoke [NAME] [flags]
       stock-db-server top [URL] [flags]
       stock-db-server doctor [--db-file PATH|URL] [flags]

One market database that many programs share: bars, quotes and trades over HTTP and WebSocket.

Subcommands:
  serve     Serve the database; the default
  check     Test a running server from outside
  import    Save CSV, JSON, Parquet or Arrow files into a running server or a database file
  replay    Play ticks into a running server as if they happened now
  copy      Copy the rows of one database into another, and verify them
  backup    Make backups of a database that a server goes on serving
  restore   Put a database back from a backup
  export    Write bars and ticks into CSV, NDJSON, Arrow or Parquet files
  delete    Delete ticks or bars
  rename    Give the rows of a ticker another one
  config    Tell whether a server would start with these settings: config check [flags of serve]
  keys      Make and end the keys of clients
  top       Show what a running server does, and who is connected
  doctor    Tell whether the server can run with a database, on this machine
"check --help" and so on tell of their flags.

Examples:
  stock-db-server --sample
  stock-db-server --db-file /srv/stocks.db --workers 0 --log-file /var/log/stocks/server.log
  STOCK_DB_PORT=9000 stock-db-server serve

Flags of serve:

${settingsHelp()}

Signals: SIGTERM and SIGINT stop the server after what it has accepted, a second SIGINT at once.
With several workers, SIGHUP restarts them one by one; SIGTTIN adds one, SIGTTOU takes one away.

Exit codes: 0 stopped as asked, 2 wrong usage, others a failure that the last lines name.`;
}
