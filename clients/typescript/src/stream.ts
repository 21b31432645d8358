/** Live updates, over lost connections and restarts of the server and of the program. */

import type { Connection } from "./connection.ts";
import { RequestError, StockDBError, StreamError } from "./errors.ts";
import { type FrameSource, isFinal, openEvents } from "./event-source.ts";
import type { Moment } from "./generated/api.ts";
import type { Asking } from "./question.ts";
import { readKept, StateKeeper, type StateStorage, storageOf } from "./state.ts";
import { type Place, Tracker } from "./tracker.ts";
import type { Frame, Update } from "./updates.ts";
import { pauseAfter, sleep } from "./wait.ts";
import { FINAL_CLOSES, openWebSocket, type WebSocketClass } from "./web-socket.ts";

export interface StreamOptions extends Asking {
  /** `trade`, `quote`, `bar`, or others of the server. Default: all, or none beside `bars`. */
  types?: string | readonly string[] | undefined;
  /** Bars that the server makes of trades: `["1Min"]`. */
  bars?: string | readonly string[] | undefined;
  /** How often a bar that still runs is told, such as `1s`. Default: never. */
  partial?: string | undefined;
  /** Of bars: also those without a trade. */
  emptyBars?: boolean | undefined;
  /** Of bars: `quotes`, and which hours count. */
  source?: string | undefined;
  calendar?: string | undefined;
  session?: string | undefined;
  /** Where to begin, if `state` doesn't say it: a time, or positions by ticker. Default: now. */
  since?: Moment | Readonly<Record<string, Moment>> | undefined;
  /** The database in which positions of `since` count. */
  epoch?: string | undefined;
  /**
   * Where positions are kept between runs of the program: a file, in browsers an entry of
   * `localStorage`, or what reads and writes a text. Use one for each stream.
   */
  state?: string | StateStorage | undefined;
  /** How often the state is written at most; 0: after each update. Default: 1,000. */
  stateEveryMs?: number | undefined;
  /** Begin with what is newest of each ticker. */
  snapshot?: boolean | undefined;
  /** What the server does while the program reads too slowly: see docs/live-updates.md. */
  slow?: "disconnect" | "conflate" | "gap" | undefined;
  /**
   * `events` (default) are server-sent events: up to 250 tickers. `websocket` is the default for
   * more of them, and for `*`.
   */
  transport?: "events" | "websocket" | undefined;
  /** Default: that of the platform. Node 20 has none: give it that of the package `ws`. */
  webSocket?: WebSocketClass | undefined;
  /** A connection that brings nothing for so long is given up. Default: 45,000. */
  silenceMs?: number | undefined;
  /** Is told of connections as they begin and end. */
  onConnection?:
    | ((event: { isOpen: true } | { isOpen: false; reason: string; retryInMs: number }) => void)
    | undefined;
}

const EVENT_TICKERS_MAX = 250;
/** The server takes 16 KB of a request's head. */
const EVENT_QUERY_MAX = 14_000;
const SILENCE_MS = 45_000;
const STATE_EVERY_MS = 1_000;
/** What the server says it can't do now, as by an error event. */
const REFUSED_MS = 5_000;
const NEVER: ReadonlySet<string> = new Set([
  ...["bad_json", "bad_message", "unknown_action", "too_many_symbols", "not_allowed", "key_not_valid"],
  ...Array.from(FINAL_CLOSES, String),
]);

/**
 * Iterate it, once. An update counts as seen when the next one is asked for: one at which the loop
 * is left comes again in the next run, unless `seen()` was called.
 */
export class Stream implements AsyncIterable<Update> {
  readonly #server: Connection;
  /** null: all. */
  readonly #tickers: readonly string[] | null;
  readonly #options: StreamOptions;
  readonly #abort = new AbortController();
  #tracker: Tracker | null = null;
  #current: Update | null = null;
  #isIterated = false;
  /** Connections that were begun, and updates that came twice and were left aside. */
  readonly figures = { connections: 0, updates: 0, repeated: 0 };

  constructor(server: Connection, symbols: string | readonly string[], options: StreamOptions) {
    const list = [...new Set(typeof symbols === "string" ? symbols.split(",") : symbols)];
    if (list.length === 0) throw new StockDBError("stream: got no ticker, expected some, or *");
    this.#server = server;
    this.#tickers = list.includes("*") ? null : list;
    this.#options = options;
    const { signal } = options;
    const stop = (): void => this.#abort.abort(signal?.reason);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true, signal: this.#abort.signal });
  }

  /** Up to where each ticker was seen. */
  get positions(): Record<string, number> {
    return Object.fromEntries(this.#tracker?.positions ?? []);
  }

  /** The database in which positions count; null: it isn't known yet. */
  get epoch(): string | null {
    return this.#tracker?.epoch ?? null;
  }

  /** The update that was given last is done with, also if none follows. */
  seen(): void {
    const update = this.#current;
    this.#current = null;
    if (update !== null) this.#tracker!.seen(update);
  }

  /** Ends the iteration, also while it waits. */
  close(): void {
    this.#abort.abort();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Update, void, undefined> {
    if (this.#isIterated) throw new StockDBError("stream: it is iterated already; make one for each loop");
    this.#isIterated = true;
    return this.#run();
  }

  async *#run(): AsyncGenerator<Update, void, undefined> {
    const { signal } = this.#options;
    const { tracker, keeper } = await this.#begin();
    this.#tracker = tracker;
    try {
      for (let failures = 0; !this.#abort.signal.aborted; ) {
        let pauseMs = 0;
        let reason = "the server ended it";
        try {
          for await (const update of this.#connection(tracker, keeper)) {
            failures = 0;
            this.#current = update;
            yield update;
            this.seen();
            await keeper?.changed();
          }
        } catch (error) {
          if (isForGood(error)) throw error;
          reason = error instanceof Error ? error.message : String(error);
          if (error instanceof StockDBError) pauseMs = REFUSED_MS;
        }
        if (this.#abort.signal.aborted) break;
        tracker.ended();
        failures++;
        pauseMs = Math.max(pauseMs, pauseAfter(failures));
        this.#options.onConnection?.({ isOpen: false, reason, retryInMs: pauseMs });
        await sleep(pauseMs, this.#abort.signal).catch(() => undefined);
      }
      signal?.throwIfAborted();
    } finally {
      this.#current = null;
      await keeper?.changed();
      await keeper?.flush();
      this.#abort.abort();
    }
  }

  async #begin(): Promise<{ tracker: Tracker; keeper: StateKeeper | null }> {
    const {
      state,
      stateEveryMs = STATE_EVERY_MS,
      since = null,
      epoch,
      types,
      bars,
      slow,
      snapshot,
    } = this.#options;
    const storage = state === undefined ? null : storageOf(state);
    const kept = storage === null ? null : await readKept(storage, typeof state === "string" ? state : "");
    const tracker = new Tracker(kept ?? { epoch: epoch ?? null, positions: {} }, {
      isWhole: types === undefined && bars === undefined && (slow ?? "disconnect") !== "conflate",
      isOfAll: this.#tickers === null,
      wantsSnapshots: snapshot ?? false,
      since,
    });
    const keeper = storage === null ? null : new StateKeeper(storage, stateEveryMs, () => tracker.kept());
    return { tracker, keeper };
  }

  /** The updates of one connection. What was seen is what was asked behind. */
  async *#connection(tracker: Tracker, keeper: StateKeeper | null): AsyncGenerator<Update, void, undefined> {
    this.figures.connections++;
    const { signal } = this.#abort;
    let source: FrameSource | null = null;
    const stop = (): void => source?.close();
    signal.addEventListener("abort", stop);
    try {
      source = await this.#open(tracker.place(this.#tickers));
      let isFirst = true;
      for (;;) {
        if (signal.aborted) return;
        const frames: Frame[] | null = await source.next();
        if (frames === null) return;
        for (const frame of frames) {
          if (isFirst && frame.type !== "error") this.#options.onConnection?.({ isOpen: true });
          isFirst = false;
          const update = tracker.take(frame);
          this.figures.repeated = tracker.repeated;
          if (update === null) {
            // Where nothing was saved yet, the next run of the program has to begin here too.
            if (frame.type === "heartbeat") await keeper?.changed();
            continue;
          }
          this.figures.updates++;
          yield update;
          if (signal.aborted) return;
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
      source?.close();
    }
  }

  #open(place: Place): Promise<FrameSource> {
    const { webSocket, slow, silenceMs = SILENCE_MS, transport } = this.#options;
    const parameters = this.#parameters();
    const query = this.#query(parameters, place);
    const fits = query !== null && query.toString().length <= EVENT_QUERY_MAX;
    if (transport === "events" && !fits)
      throw new StockDBError(
        `stream: expected at most ${EVENT_TICKERS_MAX} tickers without commas for events, and no *`,
      );
    if (fits && transport !== "websocket") {
      const { signal } = this.#abort;
      return openEvents(this.#server, query, { silenceMs, signal });
    }
    const Socket = webSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
    if (Socket === undefined)
      throw new StockDBError(
        "stream: this many tickers, or *, need a WebSocket, which this platform lacks: give one as webSocket, such as that of the package ws",
      );
    const about = { server: this.#server, Socket, tickers: this.#tickers, slow, place, silenceMs };
    return openWebSocket({ ...about, parameters });
  }

  #parameters(): Record<string, unknown> {
    const { types, bars, partial, source, calendar, session, emptyBars } = this.#options;
    const list = (value: string | readonly string[] | undefined) =>
      typeof value === "string" ? value.split(",") : value;
    const given = {
      types: list(types),
      bars: list(bars),
      partial,
      source,
      calendar,
      session,
      empty_bars: emptyBars,
    };
    // A snapshot tells where each ticker begins, so that nothing is missed from there on.
    return { ...given, snapshot: true };
  }

  /** null: only a WebSocket can ask for it. */
  #query(parameters: Record<string, unknown>, { since, epoch }: Place): URLSearchParams | null {
    const tickers = this.#tickers;
    if (
      tickers === null ||
      tickers.length > EVENT_TICKERS_MAX ||
      tickers.some((ticker) => /[,\s]/.test(ticker))
    )
      return null;
    const query = new URLSearchParams({ symbols: tickers.join(",") });
    for (const [name, value] of Object.entries({ ...parameters, slow: this.#options.slow }))
      if (value !== undefined) query.set(name, String(value));
    if (since === null) return query;
    const text = typeof since === "string" ? since : sinceText(since);
    if (text === null) return null;
    query.set("since", text);
    if (epoch !== null) query.set("epoch", epoch);
    return query;
  }
}

/**
 * A query has positions, or one time for all. With the time, those that have a position begin too
 * early, and what was seen is left aside. null: there are several times.
 */
function sinceText(since: Record<string, number | string>): string | null {
  const times = new Set(Object.values(since).filter((moment) => !/^\d+$/.test(String(moment))));
  if (times.size > 1) return null;
  for (const time of times) return String(time);
  return Object.entries(since)
    .map(([ticker, position]) => `${ticker}:${position}`)
    .join(",");
}

/** What is thrown to the program; all else is a reason to connect again. */
function isForGood(error: unknown): boolean {
  if (error instanceof RequestError) return isFinal(error);
  if (error instanceof StreamError) return NEVER.has(error.code);
  return error instanceof StockDBError;
}
