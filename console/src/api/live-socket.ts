/**
 * A WebSocket to /ws that stays: when it is lost, it comes back with the position that it has
 * reached of each ticker, so that its page is told every update once and in order, or a gap.
 */
import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { askForKey, key } from "./key.ts";
import type { LiveFrame, SocketFrame } from "./live-frames.ts";
import { pathWith } from "./request.ts";

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 15_000;
/** A socket that is silent for so many of its own heartbeats' intervals is dead. */
const MISSED_BEATS_MAX = 4;
const SILENCE_MS_MIN = 8_000;
const CLOSE_ENDED_BY_OPERATOR = 4010;
const CLOSE_KEY = 4401;

export type LiveState = "connecting" | "live" | "lost" | "refused";

export interface LiveOptions {
  /** Beside the symbols, in each message that subscribes: `types`, `bars`, `partial` … */
  subscription: Record<string, unknown>;
  /** Of one of the symbols. A lost socket's updates come too, after it is back. */
  onFrame(frame: LiveFrame): void;
}

/** Of all sockets of the page. */
const open = signal<ReadonlySet<LiveSocket>>(new Set());
const WORST_FIRST: readonly LiveState[] = ["refused", "lost", "connecting", "live"];

/** How it goes with what is live on the page; null: nothing is. */
export const liveState: ReadonlySignal<LiveState | null> = computed(() => {
  const states = [...open.value].map((socket) => socket.state.value);
  return WORST_FIRST.find((state) => states.includes(state)) ?? null;
});

/** Why the page's sockets aren't live, in the words of the server; null: it has said nothing. */
export const liveProblem: ReadonlySignal<string | null> = computed(
  () => [...open.value].map((socket) => socket.problem.value).find((problem) => problem !== null) ?? null,
);

export class LiveSocket {
  readonly state: Signal<LiveState> = signal("connecting");
  readonly problem: Signal<string | null> = signal(null);
  readonly #options: LiveOptions;
  readonly #symbols = new Set<string>();
  readonly #positions = new Map<string, number>();
  #epoch: string | undefined;
  #socket: WebSocket | null = null;
  #isReady = false;
  #failures = 0;
  /** Of the last error frame. */
  #errorCode = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastBeatAt = 0;
  #beatMs = 0;
  readonly #stops: (() => void)[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
    open.value = new Set([...open.peek(), this]);
    const retryNow = () => {
      if (this.#socket === null && document.visibilityState === "visible") this.#connect();
    };
    addEventListener("online", retryNow);
    document.addEventListener("visibilitychange", retryNow);
    this.#stops.push(
      () => removeEventListener("online", retryNow),
      () => document.removeEventListener("visibilitychange", retryNow),
      // Also the first connection, and another one for each other key.
      effect(() => {
        key.value;
        this.#failures = 0;
        this.problem.value = null;
        this.#connect();
      }),
    );
  }

  /** From now on these are told, and no others. */
  setSymbols(symbols: Iterable<string>): void {
    const wanted = new Set(symbols);
    const added = [...wanted].filter((symbol) => !this.#symbols.has(symbol));
    const removed = [...this.#symbols].filter((symbol) => !wanted.has(symbol));
    for (const symbol of removed) {
      this.#symbols.delete(symbol);
      this.#positions.delete(symbol);
    }
    for (const symbol of added) this.#symbols.add(symbol);
    if (!this.#isReady) return;
    if (removed.length > 0) this.#send({ action: "unsubscribe", symbols: removed });
    if (added.length > 0) this.#subscribe(added);
  }

  close(): void {
    for (const stop of this.#stops) stop();
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) endSocket(socket);
    open.value = new Set([...open.peek()].filter((other) => other !== this));
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const before = this.#socket;
    this.#socket = null;
    if (before !== null) endSocket(before);
    this.#isReady = false;
    this.#beatMs = 0;
    this.#lastBeatAt = 0;
    if (this.state.peek() !== "lost") this.state.value = "connecting";
    const socket = new WebSocket(
      socketUrl("ws", { symbols: "", frames: "normalized", batch: true, slow: "conflate" }),
    );
    this.#socket = socket;
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      const token = key.peek();
      if (token === null) this.#begin();
      else this.#send({ action: "auth", token });
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(data as string));
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#closed(code);
    };
  }

  #begin(): void {
    this.#isReady = true;
    if (this.#symbols.size > 0) this.#subscribe([...this.#symbols]);
  }

  #subscribe(symbols: string[]): void {
    const since = Object.fromEntries(
      symbols.flatMap((symbol) => {
        const position = this.#positions.get(symbol);
        return position === undefined ? [] : [[symbol, position]];
      }),
    );
    const back = Object.keys(since).length === 0 ? {} : { since, epoch: this.#epoch };
    this.#send({ action: "subscribe", symbols, ...this.#options.subscription, ...back });
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #take(frame: LiveFrame | SocketFrame): void {
    switch (frame.type) {
      case "batch":
        for (const update of frame.updates) this.#take(update);
        return;
      case "authenticated":
        this.#begin();
        return;
      case "subscription":
        this.problem.value = null;
        this.#isLive();
        return;
      case "error":
        // Where no keys are needed, the server doesn't know the message that brings one.
        if (frame.code === "unknown_action" && !this.#isReady) this.#begin();
        else this.#refused(frame);
        return;
      case "heartbeat":
        this.#beat(frame.positions);
        return;
    }
    if (frame.epoch !== undefined) this.#epoch = frame.epoch;
    // What is still on its way after an unsubscribe.
    if (!this.#symbols.has(frame.ticker)) return;
    if (frame.position !== null && frame.position !== undefined)
      this.#positions.set(frame.ticker, frame.position);
    this.#options.onFrame(frame);
  }

  #beat(positions: Record<string, number>): void {
    this.#isLive();
    for (const [ticker, position] of Object.entries(positions)) {
      if (this.#symbols.has(ticker)) this.#positions.set(ticker, position);
    }
    const now = performance.now();
    if (this.#lastBeatAt > 0) this.#beatMs = Math.max(this.#beatMs, now - this.#lastBeatAt);
    this.#lastBeatAt = now;
    clearTimeout(this.#timer);
    if (this.#beatMs === 0) return;
    this.#timer = setTimeout(
      () => this.#closed(0),
      Math.max(SILENCE_MS_MIN, MISSED_BEATS_MAX * this.#beatMs),
    );
  }

  /** Heartbeats come also where a subscription was refused. */
  #isLive(): void {
    this.#failures = 0;
    if (this.problem.peek() === null) this.state.value = "live";
  }

  #refused({ code, error }: { code: string; error: string }): void {
    this.#errorCode = code;
    this.problem.value = error;
    this.state.value = "refused";
  }

  #closed(code: number): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) endSocket(socket);
    this.#isReady = false;
    if (code === CLOSE_KEY || code === CLOSE_ENDED_BY_OPERATOR) {
      this.state.value = "refused";
      // Without the right to it, another key may be wanted, but nobody has to be asked.
      if (code === CLOSE_KEY && this.#errorCode !== "not_allowed")
        askForKey(this.problem.peek() ?? "A key is needed.");
      return;
    }
    this.state.value = "lost";
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures++;
    // Not all pages of a desk at the same moment.
    this.#timer = setTimeout(() => this.#connect(), pause * (0.5 + Math.random()));
  }
}

/** @param path as in `request` */
export function socketUrl(
  path: string,
  params: Record<string, string | number | boolean | undefined>,
): string {
  const url = new URL(pathWith(path, params), document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

/** One that isn't open yet is closed when it is: before, browsers call it a failure. */
export function endSocket(socket: WebSocket): void {
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}
