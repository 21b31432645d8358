/**
 * Packs answers for clients that ask for it with Accept-Encoding. JSON of ticks becomes a sixth.
 * Only who asks gets it: others would take the packed bytes for the answer.
 */
import { pipeline, Readable } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip } from "node:zlib";
import { atClientsPace } from "../protocol/clients-pace.ts";

export type Coding = "zstd" | "gzip";

/** Shorter answers aren't worth the time. */
const PACKED_FROM = 4 * 1024;
/** Up to here, to hand it to another thread takes longer than the packing. */
const AT_ONCE_MAX = 64 * 1024;
const ZSTD_LEVEL = 1;
/** As small as by the default level, in half of the time. */
const GZIP_LEVEL = 3;
/** In the order in which the server likes them. */
const CODINGS: readonly Coding[] = ["zstd", "gzip"];

const gzipped = promisify(gzip);

/**
 * The coding that the client likes best, the server's choice among equals.
 * @param accepted the header Accept-Encoding. @returns null: none that the server has.
 */
export function codingOf(accepted: string | null): Coding | null {
  return bestCoding(accepted, CODINGS);
}

/** @param offered in the order in which the server likes them. @returns null: none of them. */
export function bestCoding<C extends string>(accepted: string | null, offered: readonly C[]): C | null {
  if (accepted === null) return null;
  const weights = new Map<string, number>();
  for (const part of accepted.toLowerCase().split(",")) {
    const [name = "", ...params] = part.split(";").map((text) => text.trim());
    const weight = params.find((text) => text.startsWith("q="))?.slice(2);
    weights.set(name === "x-gzip" ? "gzip" : name, weight === undefined ? 1 : Number(weight));
  }
  const weightOf = (coding: string): number => weights.get(coding) ?? weights.get("*") ?? 0;
  const best = offered.reduce((a, b) => (weightOf(b) > weightOf(a) ? b : a));
  // An answer as it is counts as accepted unless it says otherwise.
  return weightOf(best) > 0 && weightOf(best) >= (weights.get("identity") ?? 0) ? best : null;
}

export function isWorthPacking(body: string | Uint8Array): boolean {
  return body.length >= PACKED_FROM;
}

export function packWhole(body: string | Uint8Array, coding: Coding): Uint8Array | Promise<Uint8Array> {
  const bytes = Buffer.from(body as Uint8Array);
  if (coding === "zstd")
    return bytes.length <= AT_ONCE_MAX
      ? Bun.zstdCompressSync(bytes, { level: ZSTD_LEVEL })
      : Bun.zstdCompress(bytes, { level: ZSTD_LEVEL });
  if (bytes.length > AT_ONCE_MAX) return gzipped(bytes, { level: GZIP_LEVEL });
  return Bun.gzipSync(bytes, { level: GZIP_LEVEL });
}

/** An error of the source breaks it off, without the end that the coding has. */
export function packStream(source: ReadableStream<Uint8Array>, coding: Coding): ReadableStream<Uint8Array> {
  return coding === "zstd" ? inFrames(source) : throughGzip(source);
}

/** Frames one after the other are read as one. */
function inFrames(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  return atClientsPace({
    async next() {
      const { value } = await reader.read();
      return value === undefined ? null : await Bun.zstdCompress(value, { level: ZSTD_LEVEL });
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** One stream: of several, some clients read the first and take it for all. */
function throughGzip(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const packer = createGzip({ level: GZIP_LEVEL });
  // Its error is that of the stream, which whoever reads gets.
  pipeline(Readable.fromWeb(source as never), packer, () => {});
  return Readable.toWeb(packer, { strategy: { highWaterMark: 0 } }) as unknown as ReadableStream<Uint8Array>;
}
