/** Ids of traces and spans. `randomBytes` for each takes more than all else of a span. */

/** Of one fill: 1,024 spans. */
const BYTES = 8_192;
const TRACE_DIGITS = 32;
const SPAN_DIGITS = 16;

const bytes = new Uint8Array(BYTES);
let digits = "";
let at = 0;

export function newTraceId(): string {
  return next(TRACE_DIGITS);
}

export function newSpanId(): string {
  return next(SPAN_DIGITS);
}

/** Both lengths divide what is filled. */
function next(length: number): string {
  if (at + length > digits.length) {
    digits = crypto.getRandomValues(bytes).toHex();
    at = 0;
  }
  at += length;
  return digits.slice(at - length, at);
}
