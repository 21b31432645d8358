/**
 * How the log keeps a long frame: as an object of JSON with its length, packed. The rows of a frame
 * are alike, so that most pack to less than a tenth, which is less to send and to write than the
 * packing takes. Whoever reads the log sees the length before anything is unpacked: a few kB of
 * packed text may be megabytes.
 */
import type { StoredUpdate, UpdateLimit } from "./update-contract.ts";

/** In UTF-16 units. Shorter frames gain little. */
const PACKED_FROM = 4_096;
/** The fastest. Those above make the text no shorter worth their time. */
const LEVEL = 1;
/** No frame begins so: its first member is `symbol`. */
const BEGIN = '{"characters":';
const LENGTH_DIGITS = 10;
const PACKED = /^\{"characters":(\d{1,10}),"zstd":"([A-Za-z0-9+/=]+)"\}$/;

/** The frame as the log keeps it. */
export function packFrame(frame: string): string {
  if (frame.length < PACKED_FROM) return frame;
  const packed = Bun.zstdCompressSync(Buffer.from(frame, "utf8"), { level: LEVEL });
  const text = `${BEGIN}${frame.length},"zstd":"${packed.toString("base64")}"}`;
  return text.length < frame.length ? text : frame;
}

/** How long a frame is that the log keeps, in UTF-16 units. */
export function frameLength(logged: string): number {
  if (!logged.startsWith(BEGIN)) return logged.length;
  const length = Number.parseInt(logged.slice(BEGIN.length, BEGIN.length + LENGTH_DIGITS), 10);
  return Number.isNaN(length) ? logged.length : length;
}

/** The frame that the log keeps; "" if another program has spoilt it, as if it weren't kept. */
export function unpackFrame(logged: string): string {
  if (!logged.startsWith(BEGIN)) return logged;
  const [, length, packed] = PACKED.exec(logged) ?? [];
  if (packed === undefined) return "";
  try {
    const frame = Bun.zstdDecompressSync(Buffer.from(packed, "base64")).toString("utf8");
    return frame.length === Number(length) ? frame : "";
  } catch {
    return "";
  }
}

/** What was read of the log with its frames unpacked, as far as the limit goes. */
export function unpackUpdates(logged: StoredUpdate[], limit: UpdateLimit): StoredUpdate[] {
  let characters = 0;
  const end = logged.findIndex(({ frame }, index) => {
    characters += frameLength(frame);
    return index > 0 && characters > limit.characters;
  });
  const within = end < 0 ? logged : logged.slice(0, end);
  return within.map((update) =>
    update.frame.startsWith(BEGIN) ? { ...update, frame: unpackFrame(update.frame) } : update,
  );
}
