/** Escapes long texts of DuckDB without making JavaScript strings of them. */
const encoder = new TextEncoder();

const ESCAPES = new Map<number, string>(
  Array.from({ length: 0x80 }, (_, code): [number, string] => [
    code,
    JSON.stringify(String.fromCharCode(code)).slice(1, -1),
  ]).filter(([, text]) => text.length > 1),
);

/** Escapes UTF-8 for a JSON string. The bytes may begin and end within a character. */
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
