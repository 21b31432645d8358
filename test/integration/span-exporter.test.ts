/** The exporter of traces against a collector that takes, refuses, hangs and comes back. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SpanExporter } from "../../src/observe/traces/span-exporter.ts";
import type { EndedTrace } from "../../src/observe/traces/trace.ts";
import { startCollector } from "../support/collector.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

/** Of src/observe/traces/span-exporter.ts. */
const SPANS_WAITING_MAX = 4_096;

function exporterTo(url: string) {
  const lines: string[] = [];
  const log = {
    info: (line: string) => void lines.push(line),
    warning: (line: string) => void lines.push(line),
  };
  const scope = { name: "test", version: "1" };
  const target = { url: `${url}/v1/traces`, headers: {} };
  return { exporter: new SpanExporter({ target, resource: {}, scope, log }), lines };
}

function traceOf(spans: number): EndedTrace {
  const span = { name: "s", attributes: {}, beganMs: 1, endedMs: 2, hasFailed: false };
  return {
    ...{ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", parentSpanId: null, originMs: 0 },
    spans: Array.from({ length: spans }, (_, index) => ({ ...span, name: `s${index}` })),
  };
}

test("many spans go in few requests", async () => {
  using collector = startCollector();
  const { exporter, lines } = exporterTo(collector.url);
  for (let i = 0; i < 600; i++) exporter.add(traceOf(2));
  await until(() => collector.spans.length === 1_200);
  expect(collector.requests.length).toBeLessThanOrEqual(4);
  await exporter.stop(1_000);
  expect([exporter.dropped, lines]).toEqual([0, []]);
});

test("of more than its bound the oldest are dropped, and each is counted once", async () => {
  using collector = startCollector();
  const hanging = Promise.withResolvers<void>();
  collector.answer = async () => {
    await hanging.promise;
    return Response.json({});
  };
  const { exporter, lines } = exporterTo(collector.url);
  const added = 3_000 * 3;
  for (let i = 0; i < 3_000; i++) {
    exporter.add(traceOf(3));
    if (i % 200 === 0) await Bun.sleep(1);
  }
  expect(exporter.dropped).toBeGreaterThanOrEqual(added - SPANS_WAITING_MAX - 600);
  expect(exporter.dropped).toBeLessThan(added - SPANS_WAITING_MAX + 600);
  expect(lines).toHaveLength(1);
  hanging.resolve();
  await exporter.stop(60_000);
  expect(collector.spans.length + exporter.dropped).toBe(added);
});

test("what may be sent later is, after the pause that the collector asks for", async () => {
  using collector = startCollector();
  let asked = 0;
  const times: number[] = [];
  collector.answer = () => {
    times.push(performance.now());
    return asked++ === 0
      ? new Response(null, { status: 503, headers: { "Retry-After": "2" } })
      : Response.json({});
  };
  const { exporter, lines } = exporterTo(collector.url);
  exporter.add(traceOf(1));
  await until(() => collector.spans.length === 1);
  expect(times[1]! - times[0]!).toBeGreaterThan(1_900);
  expect(exporter.dropped).toBe(0);
  await until(() => lines.length === 2);
  expect(lines[0]).toContain("status 503; 0 were dropped so far");
  expect(lines[1]).toContain("spans reach the collector");
  await exporter.stop(1_000);
});

test("by an answer of 200 the spans are taken, however long it is and whatever it says", async () => {
  using collector = startCollector();
  collector.answer = () => new Response("x".repeat(1_000_000));
  const { exporter, lines } = exporterTo(collector.url);
  exporter.add(traceOf(1));
  await until(() => collector.spans.length === 1);
  await exporter.stop(5_000);
  expect([exporter.dropped, lines, collector.requests.length]).toEqual([0, [], 1]);
});

test("a stop doesn't wait for a collector that hangs, nor for one that is away", async () => {
  using collector = startCollector();
  collector.answer = () => Promise.withResolvers<Response>().promise;
  const hangs = exporterTo(collector.url);
  hangs.exporter.add(traceOf(1));
  await hangs.exporter.stop(100);
  expect(hangs.exporter.dropped).toBe(1);
  expect(hangs.lines.at(-1)).toContain("not sent before the stop: 1 spans");

  const away = exporterTo("http://127.0.0.1:1");
  away.exporter.add(traceOf(1));
  await away.exporter.stop(60_000);
  expect(away.exporter.dropped).toBe(1);
  away.exporter.add(traceOf(2));
  expect(away.exporter.dropped).toBe(3);
});
