import { expect, test } from "bun:test";
import { readReplayQuery } from "../replay/replay-query.ts";
import { MessageError, readHandshake, readMessage } from "./live-request.ts";

function refusal(message: unknown): string {
  try {
    readMessage(typeof message === "string" || message === null ? message : JSON.stringify(message));
  } catch (error) {
    if (error instanceof MessageError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "understood";
}

test("what is deeper than any request is refused before it is parsed", () => {
  const deep = "bad_message: got JSON deeper than 8 levels, expected an object";
  expect(refusal("[".repeat(4_000_000))).toBe(deep);
  expect(refusal(`{"a":"\\"]","b":${"[".repeat(5_000)}`)).toBe(deep);
  expect(refusal('{"a":'.repeat(100_000))).toBe(deep);
  // Brackets within a string don't count.
  const symbols = [`${"[{".repeat(100)}"\\`, "B"];
  const padding = "x".repeat(5_000);
  expect(refusal({ action: "subscribe", symbols, padding })).toBe("understood");
  expect(refusal({ action: "dance", padding })).toMatch(/^unknown_action/);
});

test("as many positions as there may be are looked up among as many symbols as fit into a frame", () => {
  const symbols = Array.from({ length: 150_000 }, (_, i) => `S${i}`);
  const since = Object.fromEntries(symbols.slice(50_000).map((symbol) => [symbol, 1]));
  const message = readMessage(JSON.stringify({ action: "subscribe", symbols, since }));
  expect(message.action === "subscribe" && message.wish.tickers.length).toBe(150_000);
  expect(refusal({ action: "subscribe", symbols, since: { ...since, T: 1 } })).toMatch(
    /^bad_message: since: /,
  );
});

test("types have a number and a length", () => {
  const types = (list: string[]) => refusal({ action: "subscribe", symbols: ["A"], types: list });
  const eight = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(250));
  expect(types(["x".repeat(256)])).toBe("understood");
  expect(types(["x".repeat(257)])).toMatch(/^bad_message: types: .* of at most 256 characters$/);
  expect(types(eight)).toBe("understood");
  expect(types([...eight, "x"])).toBe(
    "bad_message: types: got 2001 characters, expected at most 2000 in all",
  );
  expect(types(["*", ...Array.from({ length: 99 }, (_, i) => `-${"x".repeat(100)}${i}`)])).toMatch(
    /^bad_message: types: got \d+ characters/,
  );
  expect(types(Array.from({ length: 101 }, (_, i) => `t${i}`))).toMatch(/^bad_message: types: /);
});

test("blanks around the names of a query's lists are no part of them", () => {
  const query = new URLSearchParams("symbols=AA,%20BB+,CC&types=quote,%20trade&since=AA:1,%20BB:2");
  const { wish } = readHandshake(query);
  expect(wish?.tickers).toEqual(["AA", "BB", "CC"]);
  expect(wish?.filter).toEqual(
    readHandshake(new URLSearchParams("symbols=A&types=quote,trade")).wish!.filter,
  );
  const { symbols, types } = readReplayQuery(query);
  expect({ symbols, types }).toEqual({ symbols: ["AA", "BB", "CC"], types: ["quote", "trade"] });
  // One name, and names in JSON, are taken as they are.
  expect(readHandshake(new URLSearchParams("symbol=%20BB")).wish?.tickers).toEqual([" BB"]);
  expect(() => readHandshake(new URLSearchParams("symbols=AA,%20"))).toThrow("expected a ticker");
});
