/** The two forms of messages of a stream, of which the client's handshake chooses one. */
import { stringifyExact } from "../protocol/json.ts";
import type { Members } from "./market-messages.ts";
import { MsgpackWriter, type PackValue } from "./msgpack-writer.ts";

/** A message that is no data: a map, whose member `T` tells what it is. */
export type ControlMessage = { readonly T: string; readonly [name: string]: PackValue };

/** Messages of one type and symbol, which their members `T` and `S` tell. */
export interface DataMessages {
  T: string;
  S: string;
  members: readonly Members[];
}

export type CodecName = "msgpack" | "json";
/** Messages of one frame, encoded one after the other, without the head of their list. */
export type Encoded = Buffer | string;

/** Of trades, quotes and bars. A condition `c` is a list, so only a bar's close is meant here. */
const PRICES = new Set(["p", "bp", "ap", "o", "h", "l", "c", "vw"]);

export interface Codec {
  encode(messages: DataMessages): Encoded;
  /** A frame of its own. */
  control(message: ControlMessage): Encoded;
  /** @param messages how many they are in all parts. */
  frame(parts: readonly Encoded[], messages: number): Encoded;
}

const writer = new MsgpackWriter(PRICES);

export const CODECS: Record<CodecName, Codec> = {
  msgpack: {
    encode({ T, S, members }) {
      const head = { T, S };
      for (const each of members) {
        writer.mapHead(2 + Object.keys(each).length);
        writer.members(head);
        writer.members(each);
      }
      return writer.take();
    },
    control(message) {
      writer.value([message]);
      return writer.take();
    },
    frame(parts, messages) {
      writer.list(messages);
      return Buffer.concat([writer.take(), ...(parts as Buffer[])]);
    },
  },
  json: {
    encode: ({ T, S, members }) =>
      // A text in place of what has a `toJSON`, which takes JSON.stringify many times as long.
      stringifyExact(members.map((each) => ({ T, S, ...each, t: each.t.toJSON() }))).slice(1, -1),
    control: (message) => stringifyExact([message]),
    frame: (parts) => `[${parts.join(",")}]`,
  },
};

/** @param headers of the handshake. */
export function codecOf(headers: Headers): CodecName {
  return headers.get("content-type")?.toLowerCase().includes("msgpack") === true ? "msgpack" : "json";
}
