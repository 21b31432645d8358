/** JSON without loss: integers beyond 2^53 are bigints, in both directions. */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

interface ExactJson {
  parse(text: string, revive: (key: string, value: Json, context: { source?: string }) => Json): Json;
  stringify(value: Json, replace: (key: string, value: Json) => unknown): string;
  rawJSON(text: string): unknown;
}

// TypeScript doesn't know the source text of a parsed number and JSON.rawJSON yet; Bun has both.
const exact = JSON as unknown as ExactJson;

export function parseJson(text: string): Json {
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "")
      ? BigInt(source ?? "")
      : value,
  );
}

export function stringifyJson(value: Json): string {
  return exact.stringify(value, (_key, member) =>
    typeof member === "bigint" ? exact.rawJSON(String(member)) : member,
  );
}

/** JSON with Python's bare NaN, Infinity and -Infinity, read as null. */
export function parseLooseJson(text: string): Json {
  return parseJson(
    text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) => (token.startsWith('"') ? token : "null")),
  );
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
