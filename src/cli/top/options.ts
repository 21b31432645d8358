/** The command line of `top`. */
import { UsageError } from "../../config/usage-error.ts";
import { DEFAULT_SERVER, parseFlags, readCount, readServerUrl } from "../flags.ts";

export interface TopOptions {
  /** Without a slash at its end. */
  url: string;
  everyS: number;
  once: boolean;
  json: boolean;
}

const EVERY_DEFAULT_S = 2;
const EVERY_MAX_S = 3_600;

export const TOP_HELP = `Usage: stock-db-server top [URL] [options]

Shows what a running server does: requests, saves and commits, its workers, and who is connected,
those most behind first. Where there are keys, the environment variable STOCK_DB_KEY has one of the
scope admin. Ctrl-C ends it.

  URL               the server (default ${DEFAULT_SERVER})
  --every SECONDS   look so often, 1 to ${EVERY_MAX_S} (default ${EVERY_DEFAULT_S})
  --once            print one page and end; so it is too where the output is no terminal
  --json            print one JSON object for each look
  --help

Exit codes: 0 ended as asked, 1 the server can't be reached or refuses the key, 2 wrong usage.
`;

const FLAGS = {
  every: { type: "string" },
  once: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null when help was asked for. @throws UsageError */
export function parseTopOptions(argv: string[]): TopOptions | null {
  const { values, positionals } = parseFlags("top", argv, FLAGS, { allowPositionals: true });
  if (values.help) return null;
  const [url = DEFAULT_SERVER, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`top: got ${positionals.length} URLs, expected one`);
  return {
    url: readServerUrl("top: URL", url),
    everyS: readCount("top: --every", values.every, EVERY_MAX_S, "whole seconds") ?? EVERY_DEFAULT_S,
    once: values.once ?? false,
    json: values.json ?? false,
  };
}
