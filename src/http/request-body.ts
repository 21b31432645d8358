import { STATUS } from "../protocol/codes.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import { ARROW_FILE, ARROW_STREAM, JSON_TYPE } from "../protocol/media-types.ts";
import type { BodyShare } from "./bodies.ts";
import type { Call } from "./call.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true });
/** Of Arrow's stream and of its file: what comes tells which of them it is. */
const ARROW_TYPES = [ARROW_STREAM, ARROW_FILE];

/** Whether the body holds the rows of a save, and the URL its command. */
export function isArrow({ request }: Call): boolean {
  const type = request.headers.get("content-type");
  return type !== null && type !== JSON_TYPE && ARROW_TYPES.includes(mediaTypeOf(type));
}

/**
 * Reads, unpacks and decodes the body of a command.
 * @throws RequestError as `readBytes`; 400 not text of its charset, 415 not JSON.
 */
export async function readBody(call: Call, share: BodyShare): Promise<string> {
  const type = call.request.headers.get("content-type");
  if (type !== JSON_TYPE && mediaTypeOf(type) !== JSON_TYPE)
    throw new RequestError(
      STATUS.wrongMediaType,
      `Content-Type: got ${JSON.stringify(type ?? "")}, expected application/json`,
    );
  return decoded(await readBytes(call, share), type, "Invalid JSON payload");
}

/** Without its parameters, in lower case. */
export function mediaTypeOf(type: string | null): string {
  return (type ?? "").split(";")[0]!.trim().toLowerCase();
}

/**
 * The text of a body in the charset that its type names.
 * @param error of bytes that are none. @throws RequestError 400
 */
export function decoded(bytes: Uint8Array, type: string | null, error: string): string {
  const charset = type === JSON_TYPE ? "utf-8" : charsetOf(type);
  try {
    return charset === "utf-8"
      ? UTF8.decode(bytes)
      : new TextDecoder(charset as Bun.Encoding, { fatal: true }).decode(bytes);
  } catch {
    throw badRequest(error, `the body is not valid ${charset}`);
  }
}

/**
 * Reads and unpacks a body. One larger than --max-body-mb is refused, unread if its length is
 * announced.
 * @param share Told of all bytes before they are kept.
 * @throws RequestError 413 too large, 415 packed otherwise, 499 the client is gone, 429 and 503 too
 *   much is under way.
 */
export async function readBytes(call: Call, share: BodyShare): Promise<Uint8Array<ArrayBuffer>> {
  const { request } = call;
  const maxBytes = call.options.maxBodyBytes;
  const length = call.announcedBytes;
  if (length !== null && length > maxBytes) throw tooLarge(length, maxBytes);
  if (length !== null) share.add(length);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes =
      length === null
        ? await readUnannounced(call, maxBytes, share)
        : ((await request.bytes()) as Uint8Array<ArrayBuffer>);
  } catch (error) {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
    throw new RequestError(
      STATUS.clientGone,
      "the client left, or sent too slowly, before its whole body was here",
    );
  }
  call.receivedBytes = bytes.length;
  const encoding = request.headers.get("content-encoding")?.toLowerCase() ?? null;
  return encoding === null ? bytes : await unpack(bytes, encoding, maxBytes, share);
}

function charsetOf(type: string | null): string {
  const [, ...parameters] = (type ?? "").toLowerCase().split(";");
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/.exec(parameter)?.[1])
    .find(Boolean);
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return "utf-8";
  const label = charset === "latin-1" ? "latin1" : charset;
  try {
    new TextDecoder(label as Bun.Encoding);
  } catch {
    throw badRequest("Error processing request payload", `unknown charset ${JSON.stringify(charset)}`);
  }
  return label;
}

function tooLarge(bytes: number, maxBytes: number): RequestError {
  return new RequestError(
    STATUS.tooLarge,
    `Body of ${bytes} bytes is too large: expected at most ${maxBytes} (--max-body-mb)`,
  );
}

async function readUnannounced(
  call: Call,
  maxBytes: number,
  share: BodyShare,
): Promise<Uint8Array<ArrayBuffer>> {
  const { request } = call;
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.length;
    // Also of one that is refused: it has come.
    call.receivedBytes = size;
    if (size > maxBytes) throw tooLarge(size, maxBytes);
    share.add(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function unpack(
  bytes: Uint8Array<ArrayBuffer>,
  encoding: string,
  maxBytes: number,
  share: BodyShare,
): Promise<Uint8Array<ArrayBuffer>> {
  if (encoding === "identity") return bytes;
  if (encoding !== "gzip" && encoding !== "deflate" && encoding !== "zstd") {
    throw new RequestError(
      STATUS.wrongMediaType,
      `Content-Encoding: got ${JSON.stringify(encoding)}, expected gzip, zstd, deflate or identity`,
    );
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    const unpacker = new DecompressionStream(encoding as "gzip");
    for await (const chunk of new Blob([bytes]).stream().pipeThrough(unpacker)) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(size, maxBytes);
      share.add(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw badRequest("Error processing request payload", `the body is not valid ${encoding}`);
  }
  return Buffer.concat(chunks);
}
