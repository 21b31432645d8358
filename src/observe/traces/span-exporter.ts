/**
 * Sends traces to a collector, by OTLP over HTTP with JSON. Nobody waits for it: what the collector
 * doesn't take in time is dropped and counted, the oldest first.
 */
import type { OtlpTarget } from "../../config/otlp-target.ts";
import { boundedText } from "../../protocol/bounded-text.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { type Backoff, backoffMs } from "../../time/pauses.ts";
import { within } from "../../time/within.ts";
import type { LogLines } from "../log.ts";
import { encodeTraces } from "./encode-traces.ts";
import type { EndedTrace, SpanAttributes } from "./trace.ts";

/** Spans that wait, those that are being sent not counted. Each has up to 2 KB. */
const SPANS_WAITING_MAX = 4_096;
/** A request to the collector has some more: a trace isn't divided. */
const BATCH_SPANS = 512;
/** A span waits so long for others. */
const GATHER_MS = 2_000;
/** Of one request to the collector. */
const SEND_MS_MAX = 5_000;
const RETRY: Backoff = { firstMs: 1_000, maxMs: 30_000 };
/** The longest pause that a collector may ask for. */
const RETRY_AFTER_MS_MAX = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** Between two warnings. */
const NOTICE_MS = 60_000;
/** By OTLP, the same request may be sent again after these. */
const LATER = [429, 502, 503, 504];

/** All of it goes in one request. */
interface SpanBatch {
  traces: EndedTrace[];
  spans: number;
}

/** The collector may take the same batch later. */
class NotNowError extends Error {
  readonly pauseMs: number;

  constructor(message: string, pauseMs: number) {
    super(message);
    this.pauseMs = pauseMs;
  }
}

export interface SpanExporterOptions {
  target: OtlpTarget;
  resource: SpanAttributes;
  scope: { name: string; version: string };
  log: Pick<LogLines, "info" | "warning">;
}

export class SpanExporter {
  readonly #options: SpanExporterOptions;
  /** The oldest first; the last one is still filled. */
  readonly #batches: SpanBatch[] = [];
  readonly #end = new AbortController();
  #waiting = 0;
  #dropped = 0;
  #timer: Timer | null = null;
  /** Null: nothing is being sent. */
  #sending: Promise<void> | null = null;
  #failures = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #hasTold = false;
  #isStopping = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  /** Spans that no collector has got. */
  get dropped(): number {
    return this.#dropped;
  }

  add(trace: EndedTrace): void {
    const { length } = trace.spans;
    if (this.#isStopping) {
      this.#dropped += length;
      return;
    }
    let last = this.#batches.at(-1);
    if (last === undefined || last.spans >= BATCH_SPANS) {
      last = { traces: [], spans: 0 };
      this.#batches.push(last);
    }
    last.traces.push(trace);
    last.spans += length;
    this.#waiting += length;
    this.#dropOldest();
    if (this.#sending !== null) return;
    const isFull = this.#waiting >= BATCH_SPANS && this.#waiting - length < BATCH_SPANS;
    if (isFull && this.#failures === 0) this.#clearTimer();
    // The request that has filled the batch doesn't wait until it is encoded.
    this.#timer ??= this.#after(isFull ? 0 : GATHER_MS);
  }

  /** Sends what is there; what hasn't gone by then is dropped. */
  async stop(ms: number): Promise<void> {
    this.#isStopping = true;
    this.#clearTimer();
    await within(this.#sendRest(), ms, () => undefined);
    this.#end.abort();
    await this.#sending;
    if (this.#waiting === 0) return;
    this.#options.log.warning(`Traces: not sent before the stop: ${this.#waiting} spans`);
    this.#dropped += this.#waiting;
    this.#waiting = 0;
    this.#batches.length = 0;
  }

  async #sendRest(): Promise<void> {
    await this.#sending;
    // A collector that is away now won't come back in time.
    if (this.#failures === 0) await this.#begin();
  }

  #after(ms: number): Timer {
    const timer = setTimeout(() => {
      this.#timer = null;
      void this.#begin();
    }, ms);
    timer.unref();
    return timer;
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #begin(): Promise<void> {
    this.#clearTimer();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
      if (this.#waiting > 0 && !this.#isStopping) this.#timer ??= this.#after(GATHER_MS);
    });
    return this.#sending;
  }

  /** What waits now, and whole batches that come meanwhile; less if the collector takes nothing. */
  async #sendAll(): Promise<void> {
    let left = this.#batches.length;
    while (this.#waiting > 0 && (left > 0 || this.#waiting >= BATCH_SPANS)) {
      if (this.#end.signal.aborted) return;
      const batch = this.#batches.shift()!;
      this.#waiting -= batch.spans;
      left--;
      try {
        const rejected = await this.#send(batch);
        if (rejected === 0) this.#tellRecovery();
        else this.#drop(rejected, `${rejected} of ${batch.spans} were rejected`);
      } catch (error) {
        if (error instanceof NotNowError) return this.#putBack(batch, error);
        this.#drop(batch.spans, messageOf(error));
      }
      this.#failures = 0;
    }
  }

  #putBack(batch: SpanBatch, { message, pauseMs }: NotNowError): void {
    this.#batches.unshift(batch);
    this.#waiting += batch.spans;
    this.#dropOldest();
    this.#tell(message);
    if (!this.#isStopping) this.#timer = this.#after(Math.max(pauseMs, backoffMs(RETRY, this.#failures)));
    this.#failures++;
  }

  /**
   * @returns how many spans the collector doesn't take.
   * @throws NotNowError; Error it doesn't take this batch, whenever it comes.
   */
  async #send({ traces, spans }: SpanBatch): Promise<number> {
    const { target, resource, scope } = this.#options;
    const signal = AbortSignal.any([AbortSignal.timeout(SEND_MS_MAX), this.#end.signal]);
    let response: Response;
    try {
      response = await fetch(target.url, {
        method: "POST",
        headers: { ...target.headers, "content-type": "application/json" },
        body: encodeTraces(traces, { resource, scope }),
        // The headers are for this collector alone.
        redirect: "error",
        signal,
      });
    } catch (error) {
      throw new NotNowError(messageOf(error), 0);
    }
    // By its status it has taken them, or it hasn't, whatever becomes of the rest of its answer.
    const text = await boundedText(response, ANSWER_BYTES_MAX, signal).catch(() => "");
    if (LATER.includes(response.status))
      throw new NotNowError(`status ${response.status}`, pauseOf(response));
    if (!response.ok) throw new Error(`status ${response.status}`);
    return Math.min(rejectedSpans(text), spans);
  }

  #dropOldest(): void {
    while (this.#waiting > SPANS_WAITING_MAX && this.#batches.length > 1) {
      const { spans } = this.#batches.shift()!;
      this.#waiting -= spans;
      this.#drop(spans, "more spans come than it takes");
    }
  }

  #drop(spans: number, reason: string): void {
    this.#dropped += spans;
    this.#tell(reason);
  }

  /** At most once a minute, whatever happens. */
  #tell(reason: string): void {
    const now = performance.now();
    if (now - this.#toldMs < NOTICE_MS) return;
    this.#toldMs = now;
    this.#hasTold = true;
    const { log, target } = this.#options;
    log.warning(`Traces: spans don't reach ${target.url}: ${reason}; ${this.#dropped} were dropped so far`);
  }

  #tellRecovery(): void {
    if (!this.#hasTold || this.#waiting >= BATCH_SPANS) return;
    this.#hasTold = false;
    this.#options.log.info(`Traces: spans reach the collector; ${this.#dropped} were dropped so far`);
  }
}

function pauseOf({ headers }: Response): number {
  const seconds = Number(headers.get("retry-after") ?? 0);
  return seconds > 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX) : 0;
}

/** Of an answer of 200: collectors may take a part. What isn't understood was taken. */
function rejectedSpans(text: string): number {
  try {
    const { partialSuccess } = JSON.parse(text) as { partialSuccess?: { rejectedSpans?: string | number } };
    const rejected = Number(partialSuccess?.rejectedSpans ?? 0);
    return Number.isSafeInteger(rejected) ? Math.max(rejected, 0) : 0;
  } catch {
    return 0;
  }
}
