/** The first lines that a user reads: what the database holds, and lines to paste. */
import type { StockReader } from "../storage/contract.ts";
import { KIND_NAMES, KINDS } from "../storage/model/kinds.ts";

const TICKERS_NAMED_MAX = 5;

export async function invite(
  reader: Pick<StockReader, "tickers">,
  host: string,
  port: number,
): Promise<string[]> {
  const filled: { label: string; tickers: string[] }[] = [];
  for (const kind of KIND_NAMES) {
    const tickers = await reader.tickers(kind, null, TICKERS_NAMED_MAX + 1);
    if (tickers.length > 0) filled.push({ label: KINDS[kind].label, tickers });
  }
  const holds = filled.map(({ label, tickers }) => `${label} of ${named(tickers)}`).join("; ");
  const ticker = filled[0]?.tickers[0] ?? "AAPL";
  const address = `${shownHost(host)}:${port}`;
  const body = JSON.stringify({ command: "get_latest_price", params: { ticker } }).replaceAll("'", "'\\''");
  const url = JSON.stringify(`ws://${address}/ws?symbol=${encodeURIComponent(ticker)}`).replaceAll(
    "'",
    "'\\''",
  );
  return [
    holds === "" ? "Holds nothing yet; start with --sample for some real market data" : `Holds ${holds}`,
    `Ask:   curl -s http://${address}/db_command -H 'Content-Type: application/json' -d '${body}'`,
    `Watch: ${quoted(process.execPath)} -e 'new WebSocket(${url}).onmessage = (frame) => console.log(frame.data)'`,
  ];
}

/** The host in a URL that works on this machine. */
export function shownHost(host: string): string {
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
