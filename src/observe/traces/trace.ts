/** The spans of one request: its own, and those of what it waits for. */
import type { TraceParent } from "./trace-parent.ts";

/** Of one request. More are counted, so that a request with thousands of reads stays small. */
const CHILDREN_MAX = 64;

/** What is undefined is left out. */
export type SpanAttributes = Record<string, string | number | boolean | undefined>;

export interface TracedSpan {
  name: string;
  attributes: SpanAttributes;
  /** By `performance.now()`. */
  beganMs: number;
  endedMs: number;
  hasFailed: boolean;
}

/** As it is sent: the first span is the request's own, all others are its children. */
export interface EndedTrace {
  traceId: string;
  /** Of another program; null: the request begins the trace. */
  parentSpanId: string | null;
  /** When `performance.now()` was 0, in ms since 1970. */
  originMs: number;
  spans: readonly TracedSpan[];
}

export class Trace {
  readonly id: string;
  readonly #parentSpanId: string | null;
  readonly #originMs: number;
  readonly #beganMs = performance.now();
  readonly #children: ChildSpan[] = [];
  readonly #ended: (trace: EndedTrace) => void;
  #leftOut = 0;
  #isOver = false;

  /** @param ended gets the spans when the request is over. */
  constructor(
    id: string,
    {
      parent,
      originMs,
      ended,
    }: { parent: TraceParent | null; originMs: number; ended: (trace: EndedTrace) => void },
  ) {
    this.id = id;
    this.#parentSpanId = parent?.spanId ?? null;
    this.#originMs = originMs;
    this.#ended = ended;
  }

  /** A part of the request that begins now. */
  begin(name: string, attributes: SpanAttributes): ChildSpan {
    const child = new ChildSpan(name, attributes);
    if (this.#isOver) return child;
    if (this.#children.length < CHILDREN_MAX) this.#children.push(child);
    else this.#leftOut++;
    return child;
  }

  /** The request is over, and with it what it has begun. */
  end({ name, attributes, hasFailed }: Pick<TracedSpan, "name" | "attributes" | "hasFailed">): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const child of this.#children) child.end();
    const leftOut = this.#leftOut === 0 ? {} : { "stock_db.spans_left_out": this.#leftOut };
    const own: TracedSpan = {
      ...{ name, hasFailed, attributes: { ...attributes, ...leftOut } },
      beganMs: this.#beganMs,
      endedMs: performance.now(),
    };
    this.#ended({
      traceId: this.id,
      parentSpanId: this.#parentSpanId,
      originMs: this.#originMs,
      spans: [own, ...this.#children],
    });
  }
}

export class ChildSpan implements TracedSpan {
  readonly name: string;
  readonly attributes: SpanAttributes;
  readonly beganMs = performance.now();
  endedMs = Number.NaN;
  hasFailed = false;

  constructor(name: string, attributes: SpanAttributes) {
    this.name = name;
    this.attributes = attributes;
  }

  /** Only the first call counts. */
  end(): void {
    if (Number.isNaN(this.endedMs)) this.endedMs = performance.now();
  }

  /** @param type a status, or the name of an error. */
  fail(type: string): void {
    if (!Number.isNaN(this.endedMs)) return;
    this.attributes["error.type"] = type;
    this.hasFailed = true;
    this.end();
  }
}
