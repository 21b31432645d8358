/** One server's side of a bus, which notes what it is told. */
import type { Bus, BusFeed, BusUpdate, ReceivedUpdate } from "../../src/bus/bus.ts";
import { openBus } from "../../src/bus/open-bus.ts";

export interface BusListener extends AsyncDisposable {
  readonly bus: Bus;
  readonly received: ReceivedUpdate[];
  readonly feeds: BusFeed[];
  /** Updates that came together. */
  readonly batches: number[];
  /** Calls of `missed` so far. */
  readonly missed: number;
  readonly log: string[];
}

export async function listenToBus(
  url: string,
  { dbFile = "", channel = "epoch-1" } = {},
): Promise<BusListener> {
  const received: ReceivedUpdate[] = [];
  const feeds: BusFeed[] = [];
  const batches: number[] = [];
  const log: string[] = [];
  const note = (message: string): void => void log.push(message);
  let missed = 0;
  const bus = await openBus({
    url,
    dbFile,
    channel,
    receive(updates) {
      received.push(...updates);
      batches.push(updates.length);
    },
    receiveFeeds: (told) => void feeds.push(...told),
    missed: () => void missed++,
    log: { debug: note, info: note, warning: note, error: note, critical: note },
  });
  return {
    bus,
    received,
    feeds,
    batches,
    get missed() {
      return missed;
    },
    log,
    [Symbol.asyncDispose]: () => bus.close(),
  };
}

export function quoteUpdate(ticker: string, seq: number, frame = `{"symbol":"${ticker}"}`): BusUpdate {
  return { ticker, update: { position: seq, type: "quote", frame } };
}
