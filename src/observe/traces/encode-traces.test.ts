import { expect, test } from "bun:test";
import { encodeTraces } from "./encode-traces.ts";
import { type EndedTrace, Trace } from "./trace.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const FROM = { resource: { "service.name": "s", worker: 2 }, scope: { name: "s", version: "1" } };

test("spans are as the JSON of OTLP has them", () => {
  const own = { name: "GET /v1/bars", attributes: { a: "x", b: 200, c: true, d: 0.5, e: undefined } };
  const child = { name: "columns trade", attributes: {} };
  const traces: EndedTrace[] = [
    {
      ...{ traceId: TRACE, parentSpanId: PARENT, originMs: 1_700_000_000_000 },
      spans: [
        { ...own, beganMs: 1.5, endedMs: 20.001, hasFailed: false },
        { ...child, beganMs: 2, endedMs: 10, hasFailed: true },
      ],
    },
  ];
  const sent = JSON.parse(encodeTraces(traces, FROM));
  const id = expect.stringMatching(/^[0-9a-f]{16}$/);
  expect(sent).toEqual({
    resourceSpans: [
      {
        resource: {
          attributes: [
            { key: "service.name", value: { stringValue: "s" } },
            { key: "worker", value: { intValue: "2" } },
          ],
        },
        scopeSpans: [
          {
            scope: FROM.scope,
            spans: [
              {
                ...{ traceId: TRACE, spanId: id, parentSpanId: PARENT, name: "GET /v1/bars", kind: 2 },
                startTimeUnixNano: "1700000000001500000",
                endTimeUnixNano: "1700000000020001000",
                attributes: [
                  { key: "a", value: { stringValue: "x" } },
                  { key: "b", value: { intValue: "200" } },
                  { key: "c", value: { boolValue: true } },
                  { key: "d", value: { doubleValue: 0.5 } },
                ],
                status: {},
              },
              {
                ...{ traceId: TRACE, spanId: id, parentSpanId: id, name: "columns trade", kind: 3 },
                startTimeUnixNano: "1700000000002000000",
                endTimeUnixNano: "1700000000010000000",
                attributes: [],
                status: { code: 2 },
              },
            ],
          },
        ],
      },
    ],
  });
  const [first, second] = sent.resourceSpans[0].scopeSpans[0].spans;
  expect(second.parentSpanId).toBe(first.spanId);
  expect(second.spanId).not.toBe(first.spanId);
});

test("a request that begins its trace has no parent", () => {
  const spans = [{ name: "a", attributes: {}, beganMs: 0, endedMs: 1, hasFailed: false }];
  const sent = JSON.parse(encodeTraces([{ traceId: TRACE, parentSpanId: null, originMs: 0, spans }], FROM));
  expect(sent.resourceSpans[0].scopeSpans[0].spans[0]).not.toHaveProperty("parentSpanId");
});

test("a trace has a bound of spans, and ends what goes on", () => {
  const ended: EndedTrace[] = [];
  const trace = new Trace(TRACE, { parent: null, originMs: 0, ended: (each) => ended.push(each) });
  const goesOn = trace.begin("goes on", {});
  for (let i = 0; i < 99; i++) trace.begin("read", {}).fail("503");
  trace.end({ name: "own", attributes: { status: 200 }, hasFailed: false });
  trace.end({ name: "again", attributes: {}, hasFailed: false });
  goesOn.fail("late");
  trace.begin("late", {}).end();
  expect(ended).toHaveLength(1);
  const [own, first, second] = ended[0]!.spans;
  expect(ended[0]!.spans).toHaveLength(65);
  expect(own).toMatchObject({ name: "own", attributes: { status: 200, "stock_db.spans_left_out": 36 } });
  expect(first).toMatchObject({ name: "goes on", hasFailed: false });
  expect(second).toMatchObject({ hasFailed: true, attributes: { "error.type": "503" } });
  for (const { beganMs, endedMs } of ended[0]!.spans) {
    expect(beganMs).toBeLessThanOrEqual(endedMs);
    expect(beganMs).toBeGreaterThanOrEqual(own!.beganMs);
    expect(endedMs).toBeLessThanOrEqual(own!.endedMs);
  }
});
