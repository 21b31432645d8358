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
const TWO_32 = 2 ** 32;
/** Seconds of the form of 8 bytes, which has 30 bits of nanoseconds beside 34 of seconds. */
const TWO_34 = 2 ** 34;
/** A UTF-16 unit takes at most so many bytes in UTF-8. */
const BYTES_PER_UNIT = 3;

export class MsgpackWriter {
  /** Members of maps whose numbers are prices: doubles also where they are whole. */
  readonly #doubles: ReadonlySet<string>;
  #bytes = Buffer.allocUnsafe(START_BYTES);
  #end = 0;

  constructor(doubles: ReadonlySet<string> = new Set()) {
    this.#doubles = doubles;
  }

  /** What was written, in a buffer of its own; the writer begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#end));
    this.#end = 0;
    if (this.#bytes.length > TWO_16) this.#bytes = Buffer.allocUnsafe(START_BYTES);
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
    this.#head(length, { fix: 0x90, fixMax: 15, bits16: 0xdc, bits32: 0xdd });
  }

  #map(map: { readonly [name: string]: PackValue }): void {
    const names = Object.keys(map);
    this.#head(names.length, { fix: 0x80, fixMax: 15, bits16: 0xde, bits32: 0xdf });
    for (const name of names) {
      const value = map[name];
      this.#text(name);
      if (typeof value === "number" && this.#doubles.has(name)) this.#double(value);
      else this.value(value);
    }
  }

  #text(text: string): void {
    this.#room(5 + text.length * BYTES_PER_UNIT);
    const bytes = Buffer.byteLength(text);
    if (bytes >= 32 && bytes < 256) {
      this.#bytes[this.#end++] = 0xd9;
      this.#bytes[this.#end++] = bytes;
    } else this.#head(bytes, { fix: 0xa0, fixMax: 31, bits16: 0xda, bits32: 0xdb });
    this.#end += this.#bytes.write(text, this.#end, "utf8");
  }

  #head(length: number, of: { fix: number; fixMax: number; bits16: number; bits32: number }): void {
    this.#room(5);
    if (length <= of.fixMax) this.#bytes[this.#end++] = of.fix | length;
    else if (length < TWO_16) {
      this.#bytes[this.#end++] = of.bits16;
      this.#end = this.#bytes.writeUInt16BE(length, this.#end);
    } else {
      this.#bytes[this.#end++] = of.bits32;
      this.#end = this.#bytes.writeUInt32BE(length, this.#end);
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
      this.#end = this.#bytes.writeUInt16BE(value, this.#end);
    } else if (value < TWO_32) {
      this.#bytes[this.#end++] = 0xce;
      this.#end = this.#bytes.writeUInt32BE(value, this.#end);
    } else {
      this.#bytes[this.#end++] = 0xcf;
      this.#end = this.#bytes.writeUInt32BE(Math.floor(value / TWO_32), this.#end);
      this.#end = this.#bytes.writeUInt32BE(value % TWO_32, this.#end);
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
    this.#end = this.#bytes.writeDoubleBE(value, this.#end);
  }

  #time({ seconds, nanoseconds }: AlpacaTime): void {
    this.#room(15);
    const isEarly = seconds < 0 || seconds >= TWO_34;
    if (isEarly) {
      this.#bytes[this.#end++] = 0xc7;
      this.#bytes[this.#end++] = 12;
      this.#bytes[this.#end++] = TIMESTAMP_TYPE & 0xff;
      this.#end = this.#bytes.writeUInt32BE(nanoseconds, this.#end);
      this.#end = this.#bytes.writeBigInt64BE(BigInt(seconds), this.#end);
      return;
    }
    const isShort = nanoseconds === 0 && seconds < TWO_32;
    this.#bytes[this.#end++] = isShort ? 0xd6 : 0xd7;
    this.#bytes[this.#end++] = TIMESTAMP_TYPE & 0xff;
    const high = nanoseconds * 4 + Math.floor(seconds / TWO_32);
    if (!isShort) this.#end = this.#bytes.writeUInt32BE(high, this.#end);
    this.#end = this.#bytes.writeUInt32BE(seconds % TWO_32, this.#end);
  }

  #byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#end++] = byte;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}
