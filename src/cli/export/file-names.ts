/**
 * Tickers and parts as names of files. One that is too long is cut into folders, each with a `%` at
 * its end.
 */
import { fileNameOf, percent } from "../../market/file-name.ts";

/** A file system takes 255 bytes, and the ending of the file is to come. */
const SEGMENT_LENGTH_MAX = 200;
const SEGMENT_GOES_ON = "%";

/**
 * The names of one walk, in its order: each ticker's rows come together, and of two that differ
 * only by case the one with the capital comes first.
 */
export class FileNames {
  /** Without the case of their letters, which not every file system minds. */
  readonly #taken = new Set<string>();
  #last: { text: string; name: string } | null = null;

  /** @throws URIError The text isn't well-formed. */
  nameOf(text: string): string {
    if (this.#last?.text === text) return this.#last.name;
    let name = inSegments(text, fileNameOf);
    if (this.#taken.has(name.toLowerCase())) name = inSegments(text, encodedWithCase);
    this.#taken.add(name.toLowerCase());
    this.#last = { text, name };
    return name;
  }
}

function inSegments(text: string, encode: (text: string) => string): string {
  const whole = encode(text);
  if (whole.length <= SEGMENT_LENGTH_MAX) return whole === "" ? SEGMENT_GOES_ON : whole;
  const pieces: string[] = [];
  let piece = "";
  for (const char of text) {
    if (encode(piece + char).length > SEGMENT_LENGTH_MAX) {
      pieces.push(piece);
      piece = "";
    }
    piece += char;
  }
  return [...pieces, piece].map(encode).join(`${SEGMENT_GOES_ON}/`);
}

function encodedWithCase(text: string): string {
  return fileNameOf(text).replaceAll(/%..|[a-z]/g, (found) => (found.length === 1 ? percent(found) : found));
}
