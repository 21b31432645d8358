/** The two forms of messages of a stream, of which the client's handshake chooses one. */
import { stringifyExact } from "../protocol/json.ts";
import { MsgpackWriter, type PackValue } from "./msgpack-writer.ts";

/** A message of the server: a map, whose member `T` tells what it is. */
export type StreamMessage = { readonly T: string; readonly [name: string]: PackValue };

export type CodecName = "msgpack" | "json";
/** Messages of one frame, encoded one after the other, without the head of their list. */
export type Encoded = Buffer | string;

/** Of trades, quotes and bars. A condition `c` is a list, so only a bar's close is meant here. */
const PRICES = new Set(["p", "bp", "ap", "o", "h", "l", "c", "vw"]);

export interface Codec {
  encode(messages: readonly StreamMessage[]): Encoded;
  /** Of messages that were encoded in parts, how many they are in all. */
  frame(parts: readonly Encoded[], messages: number): Encoded;
}

const writer = new MsgpackWriter(PRICES);

export const CODECS: Record<CodecName, Codec> = {
  msgpack: {
    encode(messages) {
      for (const message of messages) writer.value(message);
      return writer.take();
    },
    frame(parts, messages) {
      writer.list(messages);
      return Buffer.concat([writer.take(), ...(parts as Buffer[])]);
    },
  },
  json: {
    encode: (messages) => messages.map(stringifyExact).join(","),
    frame: (parts) => `[${parts.join(",")}]`,
  },
};

/** @param headers of the handshake. */
export function codecOf(headers: Headers): CodecName {
  return headers.get("content-type")?.toLowerCase().includes("msgpack") === true ? "msgpack" : "json";
}
