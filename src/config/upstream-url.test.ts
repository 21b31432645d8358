import { expect, test } from "bun:test";
import { parseUpstream } from "./upstream-url.ts";

test.each([
  ["desk:8080", "http://desk:8080", "ws://desk:8080", 8080],
  ["127.0.0.1:1", "http://127.0.0.1:1", "ws://127.0.0.1:1", 1],
  ["[::1]:8080", "http://[::1]:8080", "ws://[::1]:8080", 8080],
  ["http://desk", "http://desk", "ws://desk", 80],
  ["https://desk.example/stocks/", "https://desk.example/stocks", "wss://desk.example/stocks", 443],
  ["HTTPS://desk:9", "https://desk:9", "wss://desk:9", 9],
])("%s", (text, http, ws, port) => {
  expect(parseUpstream(text)).toMatchObject({ http, ws, port, authorization: null });
});

test("credentials go into a header and out of the URL", () => {
  const upstream = parseUpstream("https://desk:p%40ss@host/x");
  expect(upstream?.http).toBe("https://host/x");
  expect(upstream?.authorization).toBe(`Basic ${btoa("desk:p@ss")}`);
  expect(parseUpstream("http://t0ken@host")?.authorization).toBe(`Basic ${btoa("t0ken:")}`);
});

test.each(["desk", "desk:99999", "ftp://desk", "http://", "http://desk/?a=1", "http://desk/#x", "a.db", ""])(
  "%j is no server",
  (text) => expect(parseUpstream(text)).toBeNull(),
);
