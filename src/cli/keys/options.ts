/** The command line of `keys`. */
import {
  goesWithTickers,
  isKeyName,
  isNetwork,
  isPattern,
  isSocketCount,
  KEY_SOCKETS_MAX,
} from "../../access/key-record.ts";
import { readByteRate, readRate } from "../../access/rate-board.ts";
import { isScope, SCOPE_MEANINGS, SCOPES, type Scope } from "../../access/scopes.ts";
import { DECLARATIONS, environmentName } from "../../config/setting-table.ts";
import { quoted, UsageError } from "../../config/usage-error.ts";
import { parseFlags, readNames } from "../flags.ts";

const DAY_MS = 86_400_000;
const UNITS_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: DAY_MS };
/** Far beyond any plan; beyond it a date has no text. */
const SPAN_MAX_MS = 36_500 * DAY_MS;
const ROTATION_MS = DAY_MS;

export type KeysAction =
  | {
      do: "add";
      name: string;
      may: Scope[];
      tickers: string[] | null;
      rate: string | null;
      rows: string | null;
      bytes: string | null;
      sockets: number | null;
      expiresInMs: number | null;
      from: string[] | null;
    }
  | { do: "list" }
  | { do: "revoke"; name: string }
  | { do: "rotate"; name: string; overlapMs: number };

export interface KeysOptions {
  action: KeysAction;
  path: string;
  json: boolean;
}

export const KEYS_HELP = `Usage: stock-db-server keys add NAME --may read,write [flags]
       stock-db-server keys list
       stock-db-server keys rotate NAME [--overlap 24h]
       stock-db-server keys revoke NAME

Makes and ends the keys of clients. Where there are keys, each client needs one. A change is in
force within a second, without a restart. A key is shown once, when it is made: the file keeps its
hash alone.

  --may A,B         what the key allows:
${SCOPES.map((scope) => `                      ${scope.padEnd(10)} ${SCOPE_MEANINGS[scope]}`).join("\n")}
  --tickers A,B     of these tickers and patterns alone, such as AAPL,OPT_*; not with sql or admin
  --rate N/s        at most so many requests a second; also N/min and N/h, 5k/min and 1M/h
  --rows N/min      at most so many rows read and written a minute; as --rate
  --bytes 500MB/min at most so many bytes sent and received a minute; also k and G, as --rate
  --sockets N       at most so many WebSockets and streams of events open at once
  --expires SPAN    it ends after this time, such as 90d, 12h or 30m; default: when it is revoked
  --from A,B        only from these addresses and networks, such as 10.0.0.0/8
  --overlap SPAN    how long the old key stays valid beside the new one (default 24h)
  --keys PATH       file of keys (default: that of the database with .keys behind its name)
  --db-file PATH    the database (default ${DECLARATIONS.dbFile.default})
  --json            print the outcome as one JSON object
  --help

Exit codes: 0 done, 1 not done, 2 wrong usage.
`;

const FLAGS = {
  may: { type: "string", multiple: true },
  tickers: { type: "string", multiple: true },
  rate: { type: "string" },
  rows: { type: "string" },
  bytes: { type: "string" },
  sockets: { type: "string" },
  expires: { type: "string" },
  from: { type: "string", multiple: true },
  overlap: { type: "string" },
  keys: { type: "string" },
  "db-file": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type GivenFlags = ReturnType<typeof parseFlags<typeof FLAGS>>["values"];

/** @returns null: help was asked for. @throws UsageError */
export function parseKeysOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): KeysOptions | null {
  const { values, positionals } = parseFlags("keys", argv, FLAGS, { allowPositionals: true });
  if (values.help) return null;
  const [what = "", name, ...more] = positionals;
  if (!["add", "list", "revoke", "rotate"].includes(what))
    throw new UsageError(`keys ${quoted(what)}: expected add, list, rotate or revoke`);
  if ((what === "list" ? name : more[0]) !== undefined)
    throw new UsageError(
      `keys ${what}: ${quoted((what === "list" ? name : more[0])!)} is one argument too many`,
    );
  return { action: actionOf(what, name, values), path: pathOf(values, env), json: values.json === true };
}

function actionOf(what: string, name: string | undefined, values: GivenFlags): KeysAction {
  const only = (flag: keyof GivenFlags, of: string): void => {
    if (values[flag] !== undefined && what !== of)
      throw new UsageError(`keys ${what}: --${flag} goes with ${of} alone`);
  };
  for (const flag of ["may", "tickers", "rate", "rows", "bytes", "sockets", "expires", "from"] as const)
    only(flag, "add");
  only("overlap", "rotate");
  if (what === "list") return { do: "list" };
  if (name === undefined) throw new UsageError(`keys ${what}: expected a name`);
  if (!isKeyName(name))
    throw new UsageError(
      `keys ${what} ${quoted(name)}: expected a name of at most 64 letters, digits, ".", "_", "@" and "-"`,
    );
  if (what === "revoke") return { do: "revoke", name };
  if (what === "rotate")
    return { do: "rotate", name, overlapMs: spanMs("overlap", values.overlap) ?? ROTATION_MS };
  const may = readScopes(values.may);
  return {
    do: "add",
    name,
    may,
    tickers: readPatterns(values.tickers, may),
    rate: checkedRate("rate", values.rate),
    rows: checkedRate("rows", values.rows),
    bytes: checkedByteRate(values.bytes),
    sockets: socketCount(values.sockets),
    expiresInMs: spanMs("expires", values.expires),
    from: readNetworks(values.from),
  };
}

function readScopes(given: string[] | undefined): Scope[] {
  const names = readNames("keys: --may", given, "scopes");
  if (names === null) throw new UsageError(`keys add: expected --may with some of ${SCOPES.join(", ")}`);
  const wrong = names.find((name) => !isScope(name));
  if (wrong !== undefined)
    throw new UsageError(`keys: --may ${quoted(wrong)}: expected some of ${SCOPES.join(", ")}`);
  return names as Scope[];
}

function readPatterns(given: string[] | undefined, may: readonly Scope[]): string[] | null {
  const patterns = readNames("keys: --tickers", given, "tickers and patterns");
  const wrong = patterns?.find((pattern): boolean => !isPattern(pattern));
  if (wrong !== undefined)
    throw new UsageError(`keys: --tickers ${quoted(wrong.slice(0, 100))}: expected at most 200 characters`);
  const other = may.find((scope) => !goesWithTickers(scope));
  if (patterns !== null && other !== undefined)
    throw new UsageError(`keys: --tickers: got it with --may ${other}, which is of all tickers`);
  return patterns;
}

function checkedRate(flag: "rate" | "rows", text: string | undefined): string | null {
  if (text === undefined) return null;
  if (readRate(text) !== null) return text;
  throw new UsageError(`keys: --${flag} ${quoted(text)}: expected a rate such as 200/s, 5000/min or 1M/h`);
}

function checkedByteRate(text: string | undefined): string | null {
  if (text === undefined || readByteRate(text) !== null) return text ?? null;
  throw new UsageError(`keys: --bytes ${quoted(text)}: expected a rate such as 500MB/min, 20kB/s or 5GB/h`);
}

function socketCount(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d+$/.test(text) && isSocketCount(Number(text))) return Number(text);
  throw new UsageError(
    `keys: --sockets ${quoted(text)}: expected a whole number from 1 to ${KEY_SOCKETS_MAX}`,
  );
}

function readNetworks(given: string[] | undefined): string[] | null {
  const networks = readNames("keys: --from", given, "addresses and networks");
  const wrong = networks?.find((network) => !isNetwork(network));
  if (wrong !== undefined)
    throw new UsageError(
      `keys: --from ${quoted(wrong)}: expected an address or a network such as 10.0.0.0/8`,
    );
  return networks;
}

function spanMs(flag: "expires" | "overlap", text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS_MS[unit ?? ""] ?? Number.NaN);
  if (ms > 0 && ms <= SPAN_MAX_MS) return ms;
  throw new UsageError(
    `keys: --${flag} ${quoted(text)}: expected a time such as 90d, 12h or 30m, of at most 36500d`,
  );
}

/** As serve finds it. */
function pathOf(values: GivenFlags, env: Record<string, string | undefined>): string {
  const path = values.keys ?? (env[environmentName("keys")] || undefined);
  if (path !== undefined) return path;
  const { dbFile } = DECLARATIONS;
  const database = values["db-file"] ?? (env[environmentName("dbFile")] || dbFile.default);
  const own = DECLARATIONS.keys.dependentDefault!.of({ dbFile: database, host: "" });
  if (own === null) throw new UsageError("keys: expected --keys PATH, as the database is no file");
  return own;
}
