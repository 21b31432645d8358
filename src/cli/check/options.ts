import { UsageError } from "../../config/usage-error.ts";
import { DEFAULT_SERVER, parseFlags, readCount, readServerUrl } from "../flags.ts";

export interface CheckOptions {
  /** Without a slash at its end. */
  url: string;
  requests: number;
  concurrency: number;
  json: boolean;
  /** Asks whether it is ready, and nothing else. */
  readyOnly: boolean;
}

const DEFAULT_REQUESTS = 50;
const REQUESTS_MAX = 100_000;
/** Bun's fetch allows this many at once. */
const CONCURRENCY_MAX = 256;

export const CHECK_HELP = `Usage: stock-db-server check [URL] [options]

Tests a running server the way its clients use it: is it there, which processes answer, how the load spreads over
its workers, and whether a save through one connection reaches subscribers on all the others. It saves two quotes of a
ticker of its own, and has all of it removed afterwards.

  URL               default ${DEFAULT_SERVER}
  --requests N      requests in the load test, each on its own connection (default ${DEFAULT_REQUESTS})
  --concurrency N   how many of them at once, 1 to ${CONCURRENCY_MAX} (default: all, up to ${CONCURRENCY_MAX})
  --ready           only ask /ready, as the health check of a container does; takes no key, saves nothing
  --json            print one JSON object instead of lines
  --help

Exit codes: 0 all is well, 1 something is not, 2 wrong usage.
`;

const FLAGS = {
  requests: { type: "string" },
  concurrency: { type: "string" },
  ready: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null when help was asked for. @throws UsageError */
export function parseCheckOptions(argv: string[]): CheckOptions | null {
  const { values, positionals } = parseFlags("check", argv, FLAGS, { allowPositionals: true });
  if (values.help) return null;
  if (positionals.length > 1) throw new UsageError(`check: expected one URL, got ${positionals.join(" ")}`);

  const requests = readCount("check: --requests", values.requests, REQUESTS_MAX) ?? DEFAULT_REQUESTS;
  return {
    url: readServerUrl("check:", positionals[0] ?? DEFAULT_SERVER),
    requests,
    concurrency:
      readCount("check: --concurrency", values.concurrency, CONCURRENCY_MAX) ??
      Math.min(requests, CONCURRENCY_MAX),
    json: values.json ?? false,
    readyOnly: values.ready ?? false,
  };
}
