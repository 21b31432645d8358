/** Traces as OTLP's JSON: https://opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding". */
import { newSpanId } from "./random-ids.ts";
import type { EndedTrace, SpanAttributes, TracedSpan } from "./trace.ts";

/** Numbers of the protocol. */
const KIND = { server: 2, client: 3 };
const STATUS_ERROR = 2;

/** @param scope what has made the spans. */
export function encodeTraces(
  traces: readonly EndedTrace[],
  { resource, scope }: { resource: SpanAttributes; scope: { name: string; version: string } },
): string {
  const spans = traces.flatMap(spansOf);
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans: [{ scope, spans }] }],
  });
}

/** Nobody has to know the ids of spans before: they aren't handed on. */
function spansOf({ traceId, parentSpanId, originMs, spans }: EndedTrace): object[] {
  const ownId = newSpanId();
  const ofChild = { traceId, parentSpanId: ownId, kind: KIND.client };
  const own = {
    traceId,
    spanId: ownId,
    ...(parentSpanId === null ? {} : { parentSpanId }),
    kind: KIND.server,
  };
  return spans.map((span, index) => ({
    ...(index === 0 ? own : { ...ofChild, spanId: newSpanId() }),
    name: span.name,
    startTimeUnixNano: nanoseconds(originMs + span.beganMs),
    endTimeUnixNano: nanoseconds(originMs + span.endedMs),
    attributes: attributesOf(span.attributes),
    status: statusOf(span),
  }));
}

function statusOf({ hasFailed }: TracedSpan): { code?: number } {
  return hasFailed ? { code: STATUS_ERROR } : {};
}

/** A double holds microseconds since 1970, and no nanoseconds. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}

function attributesOf(attributes: SpanAttributes): object[] {
  const all: object[] = [];
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined) all.push({ key, value: otlpValue(value) });
  return all;
}

/** JSON has integers of 64 bits as texts. */
function otlpValue(value: string | number | boolean): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
