/**
 * JSON as it is written piece by piece, with its bytes counted, so that too much is noticed before
 * it is in memory.
 */
import { badRequest } from "../../protocol/errors.ts";

/** Short texts are joined up to this length before they become bytes. */
const TEXT_MAX = 64 * 1024;

const encoder = new TextEncoder();
const QUOTE = encoder.encode('"');

export class JsonPieces {
  readonly parts: Uint8Array[] = [];
  bytes = 0;
  readonly #maxBytes: number;
  #text = "";

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws RequestError 400 it has become more than allowed. */
  add(text: string): void {
    this.#text += text;
    if (this.#text.length > TEXT_MAX) this.flush();
  }

  /** @throws RequestError 400 so much more would be too much. */
  expect(bytes: number): void {
    if (this.bytes + this.#text.length + bytes > this.#maxBytes) throw this.#tooMany();
  }

  addBytes(bytes: Uint8Array): void {
    this.flush();
    this.#push(bytes);
  }

  addQuote(): void {
    this.addBytes(QUOTE);
  }

  flush(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    this.#push(encoder.encode(text));
  }

  #push(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.bytes > this.#maxBytes) throw this.#tooMany();
    this.parts.push(bytes);
  }

  #tooMany(): Error {
    return badRequest(
      `execute_sql: query returned more than ${Math.floor(this.#maxBytes / 2 ** 20)} MB of JSON`,
    );
  }
}

const ESCAPES = new Map<number, string>(
  Array.from({ length: 0x80 }, (_, code): [number, string] => [
    code,
    JSON.stringify(String.fromCharCode(code)).slice(1, -1),
  ]).filter(([, text]) => text.length > 1),
);

/**
 * What stands for these bytes of UTF-8 within the quotes of a JSON string: themselves where they
 * can. They may begin and end within a character.
 */
export function escapedBytes(bytes: Uint8Array): Uint8Array {
  let from = 0;
  let parts: Uint8Array[] | null = null;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) continue;
    parts ??= [];
    parts.push(bytes.subarray(from, at), encoder.encode(ESCAPES.get(byte)));
    from = at + 1;
  }
  if (parts === null) return bytes;
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
