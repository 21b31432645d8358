import { describe, expect, test } from "bun:test";
import { decode, decodeTimestampToTimeSpec, ExtensionCodec, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { AlpacaTime } from "./alpaca-time.ts";
import { MsgpackError, readMsgpack } from "./msgpack-reader.ts";
import { MsgpackWriter, type PackValue } from "./msgpack-writer.ts";

const TIMESTAMP_TYPE = -1;
const extensionCodec = new ExtensionCodec();
extensionCodec.register({
  type: TIMESTAMP_TYPE,
  encode: () => null,
  decode: (data) => ({ ...decodeTimestampToTimeSpec(data), bytes: data.length }),
});

function written(value: PackValue, doubles?: ReadonlySet<string>): Buffer {
  const writer = new MsgpackWriter(doubles);
  writer.value(value);
  return writer.take();
}

function read(value: PackValue): unknown {
  return decode(written(value), { extensionCodec });
}

describe("what is written is what another library reads", () => {
  // The other library refuses to read this one; what is written of it is looked at below.
  const name = fc.string({ minLength: 1 }).filter((text) => text !== "__proto__");
  const values = fc.letrec<{ any: PackValue }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: "binary" }),
      fc.double({ noNaN: true }),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("any"), { maxLength: 20 }),
      fc.dictionary(name, tie("any"), { maxKeys: 20 }),
    ),
  })).any;

  test("any value", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(JSON.stringify(read(value))).toBe(JSON.stringify(value));
      }),
    );
  });

  test("a name that is that of a prototype is a name like any other", () => {
    const bytes = written(JSON.parse('{"__proto__":"x"}'));
    expect(bytes.toString("hex")).toBe(`81a9${Buffer.from("__proto__").toString("hex")}a178`);
    expect(JSON.stringify(readMsgpack(bytes))).toBe('{"__proto__":"x"}');
  });

  test.each([31, 32, 255, 256, 65_535, 65_536])("a text of %d bytes", (bytes) => {
    expect(read("x".repeat(bytes))).toBe("x".repeat(bytes));
  });

  test.each([15, 16, 65_535, 65_536])("a list and a map of %d values", (length) => {
    const list = Array.from({ length }, (_, i) => i);
    expect(read(list)).toEqual(list);
    const map = Object.fromEntries(list.map((i) => [`m${i}`, i]));
    expect(read(map)).toEqual(map);
  });

  test("an integer of 64 bits keeps all digits", () => {
    expect(decode(written(2n ** 64n - 1n), { useBigInt64: true })).toBe(2n ** 64n - 1n);
    expect(decode(written(-(2n ** 63n)), { useBigInt64: true })).toBe(-(2n ** 63n));
  });

  test("a price is a double also where it is whole, and a size is not", () => {
    const bytes = written({ p: 187, s: 100 }, new Set(["p"]));
    expect(bytes.toString("hex")).toBe("82a170cb4067600000000000a17364");
  });

  test("a moment is the timestamp extension, of 4 bytes where it is a whole second", () => {
    expect(read(new AlpacaTime("2024-01-02 15:00:00"))).toEqual({ sec: 1_704_207_600, nsec: 0, bytes: 4 });
    expect(read(new AlpacaTime("2024-01-02 15:00:00.000000"))).toEqual({
      sec: 1_704_207_600,
      nsec: 0,
      bytes: 4,
    });
    expect(read(new AlpacaTime("2024-01-02 15:00:00.123456"))).toEqual({
      sec: 1_704_207_600,
      nsec: 123_456_000,
      bytes: 8,
    });
    expect(read(new AlpacaTime("2200-01-01 00:00:00.000001"))).toEqual({
      sec: 7_258_118_400,
      nsec: 1_000,
      bytes: 8,
    });
    expect(read(new AlpacaTime("1969-12-31 23:59:58.500000"))).toEqual({
      sec: -2,
      nsec: 500_000_000,
      bytes: 12,
    });
  });
});

describe("what another library writes is read", () => {
  test("a message of a client", () => {
    const symbols = Array.from({ length: 8_000 }, (_, i) => `SYMBOL${i}`);
    const message = { action: "subscribe", trades: symbols, bars: ["*"], n: -5, big: 2 ** 40, half: 0.5 };
    expect(JSON.stringify(readMsgpack(Buffer.from(encode(message))))).toBe(JSON.stringify(message));
  });

  test("negative numbers of every size", () => {
    for (const number of [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 40)])
      expect(readMsgpack(Buffer.from(encode(number)))).toBe(number);
  });

  test("what is cut off, too deep or of another type is an error", () => {
    const whole = Buffer.from(encode({ action: "auth", key: "k", secret: "s" }));
    for (let length = 0; length < whole.length; length++)
      expect(() => readMsgpack(whole.subarray(0, length))).toThrow(MsgpackError);
    expect(() => readMsgpack(Buffer.concat([whole, Buffer.from([0])]))).toThrow(MsgpackError);
    expect(() => readMsgpack(Buffer.alloc(100, 0x91))).toThrow(MsgpackError);
    expect(() => readMsgpack(Buffer.alloc(1_000_000, 0x81))).toThrow(MsgpackError);
    expect(() => readMsgpack(Buffer.from(encode(new Date())))).toThrow(MsgpackError);
    expect(() => readMsgpack(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]))).toThrow(MsgpackError);
  });
});
