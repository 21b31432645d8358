/** The requests that the benchmark sends, pre-encoded as whole HTTP requests. */
import { LOOPBACK, type Requests } from "./load-plan.ts";

const TICK_PRICE = 150.25;

/**
 * Gives the bytes of the next request. The same buffer may come back each time: write it before
 * asking again.
 */
export type NextRequest = () => Uint8Array;

export function requestsFor(requests: Requests, port: number, key: string | null): NextRequest {
  if (requests.kind === "fixed") {
    const bytes = encodeRequest(requests.body, port, key);
    return () => bytes;
  }
  if (requests.kind === "get") {
    const bytes = Buffer.from(`GET ${requests.path} HTTP/1.1\r\n${headOf(port, key)}\r\n`);
    return () => bytes;
  }
  return tickRequests(requests, port, key);
}

export function encodeRequest(body: string, port: number, key: string | null = null): Buffer {
  return Buffer.from(
    `POST /db_command HTTP/1.1\r\n${headOf(port, key)}Content-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function headOf(port: number, key: string | null): string {
  const host = `Host: ${LOOPBACK}:${port}\r\n`;
  return key === null ? host : `${host}Authorization: Bearer ${key}\r\n`;
}

/**
 * A save of one trade. `size` is its number in the fan-out, so a subscriber can tell a lost update.
 */
export function tickSave(trade: { ticker: string; timestamp: string; size: number }): string {
  return JSON.stringify({
    command: "save_realtime_data",
    params: {
      ticker: trade.ticker,
      data_type: "trade",
      index_col: "timestamp",
      data: [{ timestamp: trade.timestamp, price: TICK_PRICE, size: trade.size }],
    },
  });
}

/** ISO text of microsecond `index` of the benchmark's own time, which begins on 2024-01-02. */
export function tickStamp(index: number): string {
  const second = Math.floor(index / 1_000_000);
  const iso = new Date(FIRST_STAMP_MS + second * 1000).toISOString();
  return `${iso.slice(0, 19)}.${String(index % 1_000_000).padStart(6, "0")}Z`;
}

const FIRST_STAMP_MS = Date.UTC(2024, 0, 2, 9, 30);

/**
 * Patches ticker and stamp into one buffer: building text for each request would cost the client
 * more than sending it.
 */
function tickRequests(
  { tickers, firstIndex }: Requests & { kind: "ticks" },
  port: number,
  key: string | null,
): NextRequest {
  const ticker = "T000";
  const bytes = encodeRequest(tickSave({ ticker, timestamp: tickStamp(0), size: 100 }), port, key);
  const tickerAt = bytes.indexOf(`"${ticker}"`) + 2;
  const stampAt = bytes.indexOf(tickStamp(0));
  let index = firstIndex;
  let second = -1;
  return () => {
    const i = index++;
    if (Math.floor(i / 1_000_000) !== second) {
      second = Math.floor(i / 1_000_000);
      bytes.write(tickStamp(i), stampAt, "latin1");
    }
    putDigits(bytes, stampAt + 20, 6, i % 1_000_000);
    putDigits(bytes, tickerAt, 3, i % tickers);
    return bytes;
  };
}

function putDigits(bytes: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    bytes[place] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}
