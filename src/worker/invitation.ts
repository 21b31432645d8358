/** The first lines that a user reads: what the database holds, and lines to paste. */
import { IS_ONE_FILE } from "../installation/installed.ts";
import type { StockReader } from "../storage/contract.ts";
import { KIND_NAMES, KINDS } from "../storage/model/kinds.ts";

const TICKERS_NAMED_MAX = 5;

interface Invited {
  host: string;
  port: number;
  /** Of a server with TLS. */
  tlsCert: string | null;
  needsKey: boolean;
}

export async function invite(
  reader: Pick<StockReader, "tickers">,
  { host, port, tlsCert, needsKey }: Invited,
): Promise<string[]> {
  const filled: { label: string; tickers: string[] }[] = [];
  for (const kind of KIND_NAMES) {
    const tickers = await reader.tickers(kind, null, TICKERS_NAMED_MAX + 1);
    if (tickers.length > 0) filled.push({ label: KINDS[kind].label, tickers });
  }
  const holds = filled.map(({ label, tickers }) => `${label} of ${named(tickers)}`).join("; ");
  const ticker = filled[0]?.tickers[0] ?? "AAPL";
  const http = shownUrl({ host, port, tlsCert });
  const ca = tlsCert === null ? "" : ` --cacert ${quoted(tlsCert)}`;
  const trust = tlsCert === null ? "" : `NODE_EXTRA_CA_CERTS=${quoted(tlsCert)} `;
  const key = needsKey ? ' -H "Authorization: Bearer $STOCK_DB_KEY"' : "";
  const headers = needsKey ? ', { headers: { Authorization: "Bearer " + process.env.STOCK_DB_KEY } }' : "";
  const body = JSON.stringify({ command: "get_latest_price", params: { ticker } }).replaceAll("'", "'\\''");
  const url = JSON.stringify(
    `${http.replace(/^http/, "ws")}/ws?symbol=${encodeURIComponent(ticker)}`,
  ).replaceAll("'", "'\\''");
  return [
    holds === "" ? "Holds nothing yet; start with --sample for some real market data" : `Holds ${holds}`,
    `See:   ${http} in a browser`,
    `Ask:   curl -s${ca}${key} ${http}/db_command -H 'Content-Type: application/json' -d '${body}'`,
    `Watch: ${trust}${IS_ONE_FILE ? "BUN_BE_BUN=1 " : ""}${quoted(process.execPath)} -e 'new WebSocket(${url}${headers}).onmessage = (frame) => console.log(frame.data)'`,
  ];
}

/** One that works on this machine. */
export function shownUrl({ host, port, tlsCert }: Pick<Invited, "host" | "port" | "tlsCert">): string {
  return `${tlsCert === null ? "http" : "https"}://${shownHost(host)}:${port}`;
}

/** The host in a URL that works on this machine. */
function shownHost(host: string): string {
  if (["0.0.0.0", "::", "127.0.0.1", "::1"].includes(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

/** Quotes a path for a shell if necessary. */
function quoted(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function named(tickers: string[]): string {
  const shown = tickers.slice(0, TICKERS_NAMED_MAX).join(", ");
  return tickers.length > TICKERS_NAMED_MAX ? `${shown} and more` : shown;
}
