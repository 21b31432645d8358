/** Reads of a worker whose database is in the hub. */
import { unavailable } from "../protocol/errors.ts";
import type {
  BarRange,
  Holding,
  JsonRows,
  NewestBarsQuery,
  NewestTicksQuery,
  PoolFigures,
  RowKind,
  StockReader,
  TickRange,
} from "../storage/contract.ts";
import type { NewestUpdate, StoredUpdate, TickerSnapshot, UpdateReader } from "../storage/update-contract.ts";
import { HubLostError, type HubReads, type Question, type ReadReply } from "./hub-reads.ts";
import type { RowsCall, UpdateHeader, UpdatesCall, Value, ValueCall } from "./read-messages.ts";

/** Long enough for a hub that is busy; who asks whether the database answers must be told that it doesn't. */
const PROBE_WAIT_MS = 2_000;

export interface HubAccess {
  readonly reads: HubReads;
  /** Resolves when the hub is there, or has been away for too long. */
  present(): Promise<void>;
}

export class HubReader implements StockReader {
  readonly updates: UpdateReader = {
    epoch: async () => (await this.#value({ method: "epoch" })) as string,
    positions: async (tickers) =>
      new Map((await this.#value({ method: "positions", tickers })) as [string, number][]),
    newest: async (ticker) => (await this.#value({ method: "newest", ticker })) as NewestUpdate,
    after: (ticker, after, limit) => this.#updates({ method: "updates", ticker, after, limit }),
    snapshot: async (ticker) => (await this.#value({ method: "snapshot", ticker })) as TickerSnapshot,
  };
  readonly #hub: HubAccess;

  constructor(hub: HubAccess) {
    this.#hub = hub;
  }

  bars(range: BarRange): Promise<JsonRows> {
    return this.#rows({ method: "bars", range });
  }

  ticks(range: TickRange): Promise<JsonRows> {
    return this.#rows({ method: "ticks", range });
  }

  newestTicks(query: NewestTicksQuery): Promise<JsonRows> {
    return this.#rows({ method: "newestTicks", query });
  }

  newestBars(query: NewestBarsQuery): Promise<JsonRows> {
    return this.#rows({ method: "newestBars", query });
  }

  async latestPrice(ticker: string): Promise<number | null> {
    return (await this.#value({ method: "latestPrice", ticker })) as number | null;
  }

  async previousClose(ticker: string): Promise<number | null> {
    return (await this.#value({ method: "previousClose", ticker })) as number | null;
  }

  async openingPrice(ticker: string, date: string): Promise<number | null> {
    return (await this.#value({ method: "openingPrice", ticker, date })) as number | null;
  }

  async dailyVolume(ticker: string, date: string): Promise<number | null> {
    return (await this.#value({ method: "dailyVolume", ticker, date })) as number | null;
  }

  async tickers(kind: RowKind, after: string | null, limit: number): Promise<string[]> {
    return (await this.#value({ method: "tickers", kind, after, limit })) as string[];
  }

  async tickTypes(ticker: string): Promise<string[]> {
    return (await this.#value({ method: "tickTypes", ticker })) as string[];
  }

  async holdings(tickersMax: number): Promise<Holding[]> {
    return (await this.#value({ method: "holdings", tickersMax })) as Holding[];
  }

  async sizeBytes(): Promise<number | null> {
    return (await this.#value({ method: "sizeBytes" })) as number | null;
  }

  /** Whoever asks for the state of things wants it as it is now: this doesn't wait for a hub that is being restarted. */
  async probe(): Promise<void> {
    const { reply } = this.#hub.reads.ask({ type: "read", call: { method: "probe" } });
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(unavailable(`no answer for ${PROBE_WAIT_MS / 1_000} s`)),
      PROBE_WAIT_MS,
    );
    try {
      await Promise.race([reply, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async pool(): Promise<PoolFigures> {
    return (await this.#value({ method: "pool" })) as PoolFigures;
  }

  close(): void {}

  async #value(call: ValueCall): Promise<Value> {
    const { reply } = await this.#ask({ type: "read", call });
    if (reply.message.type !== "value")
      throw new Error(`the hub answered ${call.method} with ${reply.message.type}`);
    return reply.message.value;
  }

  async #rows(call: RowsCall): Promise<JsonRows> {
    const { id, reply } = await this.#ask({ type: "read", call });
    const { message, bytes } = reply;
    if (message.type === "empty") return { empty: true };
    if (message.type !== "piece") throw new Error(`the hub answered ${call.method} with ${message.type}`);
    if (!message.more) return { empty: false, text: Buffer.from(bytes.buffer).toString("utf8") };
    return { empty: false, chunks: pieces(this.#hub.reads, id, bytes) };
  }

  async #updates(call: UpdatesCall): Promise<StoredUpdate[]> {
    const { message, bytes } = (await this.#ask({ type: "read", call })).reply;
    if (message.type !== "updates") throw new Error(`the hub answered ${call.method} with ${message.type}`);
    return withFrames(message.updates, Buffer.from(bytes.buffer));
  }

  async #ask(question: Question): Promise<{ id: number; reply: ReadReply }> {
    const askOnce = async (): Promise<{ id: number; reply: ReadReply }> => {
      await this.#hub.present();
      const { id, reply } = this.#hub.reads.ask(question);
      return { id, reply: await reply };
    };
    try {
      return await askOnce();
    } catch (error) {
      // It may be what the hub died of: once.
      if (error instanceof HubLostError) return askOnce();
      throw error;
    }
  }
}

function withFrames(headers: UpdateHeader[], frames: Buffer): StoredUpdate[] {
  let offset = 0;
  return headers.map(([seq, type, savedAtMs, bytes]) => {
    const frame = frames.toString("utf8", offset, offset + bytes);
    offset += bytes;
    return { seq, type, savedAtMs, frame };
  });
}

/**
 * The pieces of an answer that has more than one; `return()` tells the hub that the rest isn't wanted. The next piece is asked for while the one before
 * is on its way to the client: the hub makes it meanwhile.
 */
export function pieces(reads: HubReads, id: number, first: Uint8Array): AsyncIterableIterator<Uint8Array> {
  let waiting: Uint8Array | null = first;
  let ahead = askAhead(reads, id);
  let done = false;
  return {
    async next() {
      if (done) return { done: true, value: undefined };
      if (waiting !== null) {
        const value = waiting;
        waiting = null;
        return { done: false, value };
      }
      const { message, bytes } = await ahead;
      if (!done && message.type === "piece" && message.more) {
        ahead = askAhead(reads, id);
        return { done: false, value: bytes };
      }
      done = true;
      return { done: true, value: undefined };
    },
    async return() {
      if (!done) reads.cancel(id);
      done = true;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** A failure is told to whoever comes for the piece. */
function askAhead(reads: HubReads, id: number): Promise<ReadReply> {
  const reply = reads.next(id);
  reply.catch(() => null);
  return reply;
}
