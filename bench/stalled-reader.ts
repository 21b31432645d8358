/** A subscriber that has stopped reading, with everything full between it and the server. */
import { RawWebSocket } from "../test/support/raw-web-socket.ts";
import { tickStamp } from "./requests.ts";
import { sendCommand } from "./targets.ts";

/**
 * More than the kernel keeps for two ends of a loopback connection, and the server for a client.
 */
const FILL_BYTES = 16 * 1024 * 1024;
const TICKS_A_SAVE = 4_000;

/**
 * @param firstIndex of the stamps that it uses: as many as there are in FILL_BYTES, at least 64
 *   bytes each.
 * @returns with `slow=gap`, so that it stays a subscriber of the ticker.
 */
export async function openStalledReader(
  port: number,
  { ticker, firstIndex }: { ticker: string; firstIndex: number },
): Promise<RawWebSocket> {
  const stalled = await RawWebSocket.openDeaf(port, `/ws?symbol=${ticker}&slow=gap`);
  for (let index = firstIndex, bytes = 0; bytes < FILL_BYTES; index += TICKS_A_SAVE) {
    const data = Array.from({ length: TICKS_A_SAVE }, (_, i) => ({
      timestamp: tickStamp(index + i),
      price: 1,
      size: 1,
    }));
    await sendCommand(port, "save_realtime_data", {
      ticker,
      data_type: "trade",
      index_col: "timestamp",
      data,
    });
    bytes += JSON.stringify(data).length;
  }
  return stalled;
}
