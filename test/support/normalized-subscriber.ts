/**
 * A subscriber to normalized frames, through a WebSocket or a stream of events. It keeps every
 * frame, knows the position of each ticker, comes back by itself where it was, and writes down what
 * was left out or came twice.
 */
import { type Falsy, waitUntil } from "./server.ts";

export interface NormalizedFrame {
  type: string;
  ticker: string;
  position: number;
  epoch: string;
  timestamp: string;
  positions: Record<string, number>;
  updates?: NormalizedFrame[];
  conflated?: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  [member: string]: any;
}

const NO_UPDATES: ReadonlySet<string> = new Set([
  ...["heartbeat", "price", "snapshot", "recovery", "gap", "replay_end", "subscription", "error"],
  ...["last_positions", "bars", "updated_bars", "partial_bars", "bars_gap"],
  ...["feed_stale", "feed_alive", "feeds_left_out"],
]);

/** Bars are of some position that the client has: they move none. */
const BARS: ReadonlySet<string> = new Set(["bars", "updated_bars", "partial_bars", "bars_gap"]);

interface Options {
  url: string;
  symbols: readonly string[];
  /** Further parameters of the query. */
  query?: Record<string, string>;
  /** Through GET /v1/stream. */
  isStream?: boolean;
  returnsAfterMs?: number;
}

export class NormalizedSubscriber implements AsyncDisposable {
  readonly frames: NormalizedFrame[] = [];
  readonly texts: string[] = [];
  /** How many frames each message had. */
  readonly messages: number[] = [];
  readonly positions = new Map<string, number>();
  readonly faults: string[] = [];
  epoch: string | null = null;
  connections = 0;
  /** Of a stream: its comments, its last id, and how long it is told to wait. */
  comments = 0;
  lastEventId = "";
  retryMs: number | null = null;
  readonly #options: Options;
  readonly #mayLeaveOut: boolean;
  #end: (() => void) | null = null;
  #isOver = false;
  #running: Promise<void>;

  constructor(options: Options) {
    this.#options = options;
    const { types, bars } = options.query ?? {};
    this.#mayLeaveOut = types !== undefined || bars !== undefined || options.query?.slow === "conflate";
    this.#running = this.#run();
  }

  get updates(): NormalizedFrame[] {
    return this.frames.filter(({ type }) => !NO_UPDATES.has(type));
  }

  ofType(type: string): NormalizedFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  async until<T>(what: string, condition: () => T | Falsy): Promise<T> {
    return (await waitUntil(what, condition)) as T;
  }

  /** Ends the connection, as a network would. It comes back. */
  cut(): void {
    this.#end?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.cut();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.connections++;
      await (this.#options.isStream ? this.#stream() : this.#socket()).catch(() => undefined);
      if (!this.#isOver) await Bun.sleep(this.#options.returnsAfterMs ?? 50);
    }
  }

  #socket(): Promise<void> {
    const { url, symbols, query = {} } = this.#options;
    const since = [...this.positions].map(([ticker, position]) => `${ticker}:${position}`).join(",");
    const place = this.epoch === null || since === "" ? {} : { since, epoch: this.epoch };
    const asked = new URLSearchParams({
      symbols: symbols.join(","),
      frames: "normalized",
      ...query,
      ...place,
    });
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws?${asked}`);
    const closed = Promise.withResolvers<void>();
    this.#end = () => socket.terminate();
    socket.onmessage = ({ data }) => this.#take(String(data));
    socket.onclose = () => closed.resolve();
    return closed.promise;
  }

  async #stream(): Promise<void> {
    const { url, symbols, query = {} } = this.#options;
    const asked = new URLSearchParams({ symbols: symbols.join(","), ...query });
    const abort = new AbortController();
    this.#end = () => abort.abort();
    const headers = {
      connection: "close",
      ...(this.lastEventId === "" ? {} : { "last-event-id": this.lastEventId }),
    };
    const answer = await fetch(`${url}/v1/stream?${asked}`, { headers, signal: abort.signal });
    if (answer.status !== 200) this.faults.push(`status ${answer.status}: ${await answer.text()}`);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of answer.body!) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        this.#event(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  /** As a browser reads it: only events in full count. */
  #event(text: string): void {
    const data: string[] = [];
    let id: string | null = null;
    for (const line of text.split("\n")) {
      if (line.startsWith(":")) this.comments++;
      else if (line.startsWith("data: ")) data.push(line.slice(6));
      else if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("retry: ")) this.retryMs = Number(line.slice(7));
      else this.faults.push(`line ${line}`);
    }
    if (data.length > 0) this.#take(data.join("\n"));
    if (id !== null) this.lastEventId = id;
  }

  #take(text: string): void {
    this.texts.push(text);
    const frame = JSON.parse(text) as NormalizedFrame;
    const frames = frame.type === "batch" ? frame.updates! : [frame];
    this.messages.push(frames.length);
    for (const each of frames) {
      this.epoch = each.epoch ?? this.epoch;
      this.#place(each);
      this.frames.push(each);
    }
  }

  #place({ type, ticker, position, positions, conflated }: NormalizedFrame): void {
    if (type === "heartbeat") for (const [of, reached] of Object.entries(positions)) this.#reach(of, reached);
    if (!Number.isSafeInteger(position) || BARS.has(type)) return;
    const before = this.positions.get(ticker);
    if (NO_UPDATES.has(type) || before === undefined) {
      this.positions.set(ticker, position);
      return;
    }
    const isNext = position === before + 1 || this.#mayLeaveOut || conflated !== undefined;
    if (position <= before || !isNext) this.faults.push(`${ticker}: update ${position} came after ${before}`);
    this.positions.set(ticker, Math.max(position, before));
  }

  #reach(ticker: string, position: number): void {
    const before = this.positions.get(ticker) ?? position;
    if (position > before && !this.#mayLeaveOut)
      this.faults.push(`${ticker}: a heartbeat of position ${position} came after ${before}`);
    if (position < before) this.faults.push(`${ticker}: a heartbeat told ${position} after ${before}`);
    this.positions.set(ticker, Math.max(position, before));
  }
}
