/** Frames of WebSockets: well formed with random messages, and not well formed. */
import fc from "fast-check";
import { encodeFrame, type FrameParts } from "../../test/support/web-socket-frames.ts";
import { askAttackSocket } from "../attack-socket.ts";
import type { Fuzz } from "./fuzzes.ts";

const SYMBOLS = ["IBM", "AAPL", "*", "", "__proto__", "A,B", "\0"];
const ANSWER_MS = 15;

interface Input {
  path: string;
  frames: FrameParts[];
}

const message = fc
  .record(
    {
      action: fc.oneof(fc.constantFrom("subscribe", "unsubscribe", "ping", "pause", "resume"), fc.string()),
      symbols: fc.oneof(fc.array(fc.constantFrom(...SYMBOLS), { maxLength: 5 }), fc.anything()),
      types: fc.oneof(fc.array(fc.string(), { maxLength: 3 }), fc.anything()),
      since: fc.oneof(fc.dictionary(fc.constantFrom(...SYMBOLS), fc.integer()), fc.anything()),
      epoch: fc.oneof(fc.string(), fc.anything()),
      snapshot: fc.oneof(fc.boolean(), fc.anything()),
      slow: fc.oneof(fc.constantFrom("disconnect", "conflate", "gap"), fc.anything()),
    },
    { requiredKeys: [] },
  )
  .map(toJson);

const frame: fc.Arbitrary<FrameParts> = fc.oneof(
  { weight: 3, arbitrary: message.map((payload) => ({ opcode: 1, payload })) },
  { weight: 1, arbitrary: fc.anything().map((value) => ({ opcode: 1, payload: toJson(value) })) },
  {
    weight: 1,
    arbitrary: fc
      .record({
        opcode: fc.nat({ max: 15 }),
        payload: fc.uint8Array({ maxLength: 200 }),
        fin: fc.boolean(),
        masked: fc.boolean(),
        reserved: fc.nat({ max: 7 }),
      })
      .map((parts) => parts as FrameParts),
  },
);

export const socketFrames: Fuzz<Input> = {
  name: "socket-frames",
  input: () =>
    fc.record({
      path: fc.oneof(
        fc.constantFrom(
          "/ws?symbol=IBM",
          "/ws?symbols=*",
          "/ws?symbols=",
          "/ws/replay?symbol=IBM&speed=1000",
        ),
        fc
          .dictionary(
            fc.constantFrom(
              "symbol",
              "symbols",
              "since",
              "epoch",
              "types",
              "slow",
              "snapshot",
              "start",
              "end",
              "speed",
            ),
            fc.oneof(fc.constantFrom(...SYMBOLS, "0", "-1", "1e9", "NaN"), fc.string({ maxLength: 20 })),
          )
          .chain((query) =>
            fc.constantFrom("/ws", "/ws/replay").map((path) => `${path}?${new URLSearchParams(query)}`),
          ),
      ),
      frames: fc.array(frame, { maxLength: 6 }),
    }),
  async send(target, { path, frames }) {
    using client = await askAttackSocket(target.port, path);
    if (client === null) return;
    const { status, text } = client.handshake;
    if (status === 500) throw new Error(`${path}: ${text.slice(0, 300)}`);
    if (status !== 101) return;
    for (const each of frames) await client.send(encodeFrame(each));
    await Bun.sleep(ANSWER_MS);
  },
};

/** What JSON can't hold becomes null. */
function toJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, member) => (typeof member === "bigint" ? String(member) : member)) ?? "null"
  );
}
