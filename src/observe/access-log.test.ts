import { expect, test } from "bun:test";
import type { AccessLog, LogLevel } from "../config/settings.ts";
import { type Access, createAccessLogger, formatAccess } from "./access-log.ts";
import { createLogger } from "./log.ts";

const access: Access = {
  clientAddress: "127.0.0.1",
  method: "GET",
  path: "/nope",
  target: "/nope?x=1",
  status: 404,
  bytes: 273,
  durationMs: 0.2,
  userAgent: "curl/8",
  requestId: null,
  traceId: null,
};

test("a line names client, request, status, size, time and program", () => {
  expect(formatAccess(access)).toBe('127.0.0.1 - "GET /nope?x=1 HTTP/1.1" 404 273B 0ms "curl/8"');
  expect(formatAccess({ ...access, requestId: "r-1" })).toEndWith('"curl/8" id=r-1');
  expect(formatAccess({ ...access, requestId: "r-1", traceId: "4bf9" })).toEndWith(" id=r-1 trace=4bf9");
  const large = { ...access, status: 200, bytes: 1_600_000, durationMs: 12.6, userAgent: null };
  expect(formatAccess(large)).toBe('127.0.0.1 - "GET /nope?x=1 HTTP/1.1" 200 1.5MB 13ms "Unknown"');
  expect(formatAccess({ ...access, bytes: 1536 })).toContain(" 1.5KB ");
});

test("a client can't end its quotes early or fill the log", () => {
  const line = formatAccess({ ...access, target: `/${"a".repeat(10_000)}`, userAgent: 'x" 200\n\\' });
  expect(line).toEndWith('"x\\" 200\\n\\\\"');
  expect(line.length).toBeLessThan(1500);
});

test.each<[AccessLog, LogLevel, [boolean, boolean, boolean, boolean]]>([
  // page 200, page 404, probe 200, probe 503
  ["on", "INFO", [true, true, false, false]],
  ["on", "DEBUG", [true, true, true, true]],
  ["errors", "INFO", [false, true, false, false]],
  ["errors", "DEBUG", [false, true, false, true]],
  ["off", "DEBUG", [false, false, false, false]],
  ["on", "WARNING", [false, false, false, false]],
])("--access-log %s --log-level %s", async (mode, level, expected) => {
  const chunks: string[] = [];
  const logger = createLogger({ level, worker: null, file: null, write: (text) => void chunks.push(text) });
  const accessLog = createAccessLogger(mode, logger);
  const requests: [number, string][] = [
    [200, "/"],
    [404, "/nope"],
    [200, "/health"],
    [503, "/ready"],
  ];
  expect(requests.map(([status, path]) => accessLog.wants(status, path))).toEqual(expected);
  for (const [status, path] of requests) accessLog.write({ ...access, status, path });
  await logger.close();
  const levels = [...chunks.join("").matchAll(/\[(INFO|DEBUG)\] -/g)].map((match) => match[1]);
  const all = ["INFO", "INFO", "DEBUG", "DEBUG"];
  expect(levels).toEqual(all.filter((_, i) => expected[i]));
});
