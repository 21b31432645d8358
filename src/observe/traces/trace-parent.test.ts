import { expect, test } from "bun:test";
import { readTraceParent } from "./trace-parent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("trace, span and whether it is sampled", () => {
  const of = { traceId: TRACE, spanId: SPAN };
  expect(readTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ ...of, isSampled: true });
  expect(readTraceParent(`00-${TRACE}-${SPAN}-00`)).toEqual({ ...of, isSampled: false });
  // Bit 1 says that the id is random.
  expect(readTraceParent(`00-${TRACE}-${SPAN}-02`)).toEqual({ ...of, isSampled: false });
  expect(readTraceParent(`00-${TRACE}-${SPAN}-03`)).toEqual({ ...of, isSampled: true });
  expect(readTraceParent(`01-${TRACE}-${SPAN}-01-more`)).toEqual({ ...of, isSampled: true });
});

test.each([
  null,
  "",
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-01-more`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
])("%p is none", (header) => {
  expect(readTraceParent(header)).toBeNull();
});
