/** W3C's trace context: the header `traceparent` names the span that a request belongs to. */

export interface TraceParent {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 of them. */
  spanId: string;
  /** The caller records its own span. */
  isSampled: boolean;
}

/** Later versions may have more behind the flags. */
const FORM = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 0x01;

/** @returns null: there is none, or it is none. */
export function readTraceParent(header: string | null): TraceParent | null {
  const [, version, traceId, spanId, flags, more] = FORM.exec(header ?? "") ?? [];
  if (traceId === undefined || (version === "00" && more !== undefined)) return null;
  return { traceId, spanId: spanId!, isSampled: (Number.parseInt(flags!, 16) & SAMPLED) !== 0 };
}
