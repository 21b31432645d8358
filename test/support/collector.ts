/** A collector of OpenTelemetry, as far as a sender of traces sees one: OTLP over HTTP, in JSON. */
import type { Certificate } from "./certificates.ts";
import type { Json } from "./requests.ts";
import { waitUntil } from "./server.ts";

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  /** In nanoseconds. */
  from: bigint;
  to: bigint;
  attributes: Record<string, string | number | boolean>;
  /** 2: it has failed. */
  status: number;
  resource: Record<string, string | number | boolean>;
}

export interface Collector extends Disposable {
  url: string;
  port: number;
  spans: CollectedSpan[];
  requests: { path: string; headers: Headers }[];
  /** What it answers with; a collector that works first. */
  answer: () => Response | Promise<Response>;
  /** The spans of one request by its own span, once they are there. */
  traceOf(isOwn: (own: CollectedSpan) => boolean): Promise<{ own: CollectedSpan; children: CollectedSpan[] }>;
}

/** @param port of one that has gone; default: any. */
export function startCollector(port = 0, tls?: Certificate): Collector {
  const spans: CollectedSpan[] = [];
  const requests: Collector["requests"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    ...(tls === undefined ? {} : { tls: { cert: Bun.file(tls.cert), key: Bun.file(tls.key) } }),
    async fetch(request) {
      requests.push({ path: new URL(request.url).pathname, headers: request.headers });
      const body = await request.json();
      const answer = await collector.answer();
      if (answer.ok) spans.push(...spansOf(body));
      return answer;
    },
  });
  const collector: Collector = {
    ...{ spans, requests },
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`,
    port: server.port!,
    answer: () => Response.json({}),
    traceOf: (isOwn) =>
      waitUntil("the span has come", () => {
        const own = spans.find((span) => span.kind === 2 && isOwn(span));
        return own && { own, children: spans.filter(({ parentSpanId }) => parentSpanId === own.spanId) };
      }),
    [Symbol.dispose]: () => void server.stop(true),
  };
  return collector;
}

function spansOf({ resourceSpans }: Json): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }: Json) =>
    scopeSpans.flatMap(({ spans }: Json) =>
      spans.map((span: Json) => ({
        ...span,
        from: BigInt(span.startTimeUnixNano),
        to: BigInt(span.endTimeUnixNano),
        attributes: valuesOf(span.attributes),
        status: span.status?.code ?? 0,
        resource: valuesOf(resource.attributes),
      })),
    ),
  );
}

function valuesOf(attributes: Json[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );
}
