/** A recorded request as the bytes to put on the wire. */
import { type JsonObject, stringifyJson } from "./json.ts";
import type { GeneratedBody, PaddedBody, RecordedRequest, RowsBody } from "./transcript.ts";

export function requestBytes(request: RecordedRequest, host: string): Uint8Array {
  if (request.raw !== undefined) return Buffer.from(request.raw, "latin1");
  const body = encodeBody(request);
  const lines = [`${request.method ?? "GET"} ${request.path ?? "/"} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of Object.entries(request.headers ?? {})) lines.push(`${name}: ${value}`);
  if (body === null) {
    if (request.method === "POST") lines.push("Content-Length: 0");
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
  }
  const chunkBytes = request.chunked;
  lines.push(chunkBytes === undefined ? `Content-Length: ${body.length}` : "Transfer-Encoding: chunked");
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
  return Buffer.concat([head, chunkBytes === undefined ? body : inChunks(body, chunkBytes)]);
}

/** The text of the body as it was meant, for those who want to know what a step sent. */
export function requestBodyText(request: RecordedRequest): string | null {
  if (request.body_text !== undefined) return request.body_text;
  if (request.body !== undefined) return stringifyJson(request.body);
  if (request.body_gen !== undefined) return stringifyJson(generate(request.body_gen));
  return null;
}

function encodeBody(request: RecordedRequest): Buffer | null {
  if (request.body_hex !== undefined) return Buffer.from(request.body_hex, "hex");
  const text = requestBodyText(request);
  if (text === null) return null;
  return request.gzip === true ? Buffer.from(Bun.gzipSync(text)) : Buffer.from(text);
}

function inChunks(body: Buffer, chunkBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const chunk = body.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  parts.push(Buffer.from("0\r\n\r\n"));
  return Buffer.concat(parts);
}

function generate(recipe: GeneratedBody): JsonObject {
  return recipe.kind === "pad" ? padded(recipe) : rows(recipe);
}

function padded(recipe: PaddedBody): JsonObject {
  const body: JsonObject = { command: recipe.command, params: recipe.params, pad: "" };
  body.pad = "x".repeat(recipe.bytes - Buffer.byteLength(stringifyJson(body)));
  return body;
}

function rows(recipe: RowsBody): JsonObject {
  // Microseconds, because a step of 0.125 s added up as seconds would still be exact but a date
  // isn't finer than 1 ms.
  const startUs = Date.parse(`${recipe.start}Z`) * 1000;
  const data: JsonObject[] = [];
  for (let i = 0; i < recipe.count; i++) {
    const base = 100 + ((i * 7) % 50) * 0.25;
    const stamp = formatTime(recipe.format, startUs + Math.round(i * recipe.step_s * 1e6));
    data.push(
      recipe.shape === "bar"
        ? {
            [recipe.index_col]: stamp,
            open: base,
            high: base + 1,
            low: base - 1,
            close: base + 0.5,
            volume: 1000 + i,
          }
        : { [recipe.index_col]: stamp, price: base, size: 1 + (i % 9) },
    );
  }
  const command = recipe.shape === "bar" ? "save_stock_data" : "save_realtime_data";
  return { command, params: { ...recipe.params, index_col: recipe.index_col, data } };
}

function formatTime(format: string, us: number): string {
  const iso = new Date(Math.floor(us / 1000)).toISOString();
  const parts: Record<string, string> = {
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    f: String(us % 1_000_000).padStart(6, "0"),
  };
  return format.replace(/%(\w)/g, (directive, letter: string) => parts[letter] ?? directive);
}
