/**
 * MessagePack for Alpaca's clients: maps, lists, texts, numbers, and moments as its timestamp
 * extension, which these clients insist on.
 */
import { AlpacaTime } from "./alpaca-time.ts";

export type PackValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | AlpacaTime
  | readonly PackValue[]
  | { readonly [name: string]: PackValue };

const START_BYTES = 4_096;
const TIMESTAMP_TYPE = -1;
const TWO_16 = 2 ** 16;
/** A writer keeps no more than this for the next messages. */
const TWO_20 = 2 ** 20;
const TWO_32 = 2 ** 32;
/** Seconds of the form of 8 bytes, which has 30 bits of nanoseconds beside 34 of seconds. */
const TWO_34 = 2 ** 34;
/** A UTF-16 unit takes at most so many bytes in UTF-8. */
const BYTES_PER_UNIT = 3;

/** First bytes of what has a length. */
const MAP = { fix: 0x80, fixMax: 15, bits16: 0xde, bits32: 0xdf };
const LIST = { fix: 0x90, fixMax: 15, bits16: 0xdc, bits32: 0xdd };
const TEXT = { fix: 0xa0, fixMax: 31, bits16: 0xda, bits32: 0xdb };

export class MsgpackWriter {
  /** Members of maps whose numbers are prices: doubles also where they are whole. */
  readonly #doubles: ReadonlySet<string>;
  #bytes = Buffer.alloc(START_BYTES);
  /** Of the same bytes: its methods take a tenth of the time of Buffer's. */
  #view = viewOf(this.#bytes);
  #end = 0;

  constructor(doubles: ReadonlySet<string> = new Set()) {
    this.#doubles = doubles;
  }

  /** What was written, in a buffer of its own; the writer begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#end));
    this.#end = 0;
    if (this.#bytes.length > TWO_20) this.#resize(START_BYTES);
    return taken;
  }

  value(value: PackValue): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (value === null || value === undefined) this.#byte(0xc0);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (value instanceof AlpacaTime) this.#time(value);
    else if (Array.isArray(value)) {
      this.list(value.length);
      for (const item of value) this.value(item);
    } else this.#map(value as { readonly [name: string]: PackValue });
  }

  /** The head of a list; its values follow. */
  list(length: number): void {
    this.#head(length, LIST);
  }

  #map(map: { readonly [name: string]: PackValue }): void {
    this.mapHead(Object.keys(map).length);
    this.members(map);
  }

  /** The head of a map; its members follow, in one call or several. */
  mapHead(length: number): void {
    this.#head(length, MAP);
  }

  members(map: { readonly [name: string]: PackValue }): void {
    for (const name in map) {
      const value = map[name];
      this.#text(name);
      if (typeof value === "number" && this.#doubles.has(name)) this.#double(value);
      else this.value(value);
    }
  }

  #text(text: string): void {
    this.#room(5 + text.length * BYTES_PER_UNIT);
    if (text.length < 32 && this.#shortText(text)) return;
    const bytes = Buffer.byteLength(text);
    if (bytes >= 32 && bytes < 256) {
      this.#bytes[this.#end++] = 0xd9;
      this.#bytes[this.#end++] = bytes;
    } else this.#head(bytes, TEXT);
    this.#end += this.#bytes.write(text, this.#end, "utf8");
  }

  /** @returns false, and writes nothing, if a character isn't ASCII. */
  #shortText(text: string): boolean {
    const start = this.#end + 1;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) return false;
      this.#bytes[start + at] = code;
    }
    this.#bytes[this.#end] = TEXT.fix | text.length;
    this.#end = start + text.length;
    return true;
  }

  #head(length: number, of: typeof MAP): void {
    this.#room(5);
    if (length <= of.fixMax) this.#bytes[this.#end++] = of.fix | length;
    else if (length < TWO_16) {
      this.#bytes[this.#end++] = of.bits16;
      this.#uint16(length);
    } else {
      this.#bytes[this.#end++] = of.bits32;
      this.#uint32(length);
    }
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#double(value);
    else if (value >= 0) this.#natural(value);
    else if (value >= -32) this.#byte(value & 0xff);
    else if (value >= -(2 ** 31)) {
      this.#room(5);
      this.#bytes[this.#end++] = 0xd2;
      this.#end = this.#bytes.writeInt32BE(value, this.#end);
    } else this.#bigint(BigInt(value));
  }

  #natural(value: number): void {
    this.#room(9);
    if (value < 128) this.#bytes[this.#end++] = value;
    else if (value < TWO_16) {
      this.#bytes[this.#end++] = 0xcd;
      this.#uint16(value);
    } else if (value < TWO_32) {
      this.#bytes[this.#end++] = 0xce;
      this.#uint32(value);
    } else {
      this.#bytes[this.#end++] = 0xcf;
      this.#uint32(Math.floor(value / TWO_32));
      this.#uint32(value % TWO_32);
    }
  }

  /** @param value within 64 bits, with or without a sign. */
  #bigint(value: bigint): void {
    this.#room(9);
    this.#bytes[this.#end++] = value < 0n ? 0xd3 : 0xcf;
    this.#end = this.#bytes.writeBigUInt64BE(BigInt.asUintN(64, value), this.#end);
  }

  #double(value: number): void {
    this.#room(9);
    this.#bytes[this.#end++] = 0xcb;
    this.#view.setFloat64(this.#end, value);
    this.#end += 8;
  }

  #time({ seconds, nanoseconds }: AlpacaTime): void {
    this.#room(15);
    const isEarly = seconds < 0 || seconds >= TWO_34;
    if (isEarly) {
      this.#bytes[this.#end++] = 0xc7;
      this.#bytes[this.#end++] = 12;
      this.#bytes[this.#end++] = TIMESTAMP_TYPE & 0xff;
      this.#uint32(nanoseconds);
      this.#end = this.#bytes.writeBigInt64BE(BigInt(seconds), this.#end);
      return;
    }
    const isShort = nanoseconds === 0 && seconds < TWO_32;
    this.#bytes[this.#end++] = isShort ? 0xd6 : 0xd7;
    this.#bytes[this.#end++] = TIMESTAMP_TYPE & 0xff;
    const high = nanoseconds * 4 + Math.floor(seconds / TWO_32);
    if (!isShort) this.#uint32(high);
    this.#uint32(seconds % TWO_32);
  }

  #uint16(value: number): void {
    this.#view.setUint16(this.#end, value);
    this.#end += 2;
  }

  #uint32(value: number): void {
    this.#view.setUint32(this.#end, value);
    this.#end += 4;
  }

  #byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#end++] = byte;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    this.#resize(Math.max(this.#bytes.length * 2, this.#end + bytes));
  }

  #resize(bytes: number): void {
    const resized = Buffer.alloc(bytes);
    this.#bytes.copy(resized, 0, 0, this.#end);
    this.#bytes = resized;
    this.#view = viewOf(resized);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
