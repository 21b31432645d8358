import { expect, test } from "bun:test";
import type { Socket } from "bun";
import { MessageChannel } from "./message-channel.ts";

/** What a channel writes for these messages. */
function written(messages: { message: unknown; attachment: Uint8Array }[]): Buffer {
  const parts: Buffer[] = [];
  const socket = {
    write(bytes: Buffer) {
      parts.push(Buffer.from(bytes));
      return bytes.length;
    },
  } as unknown as Socket<unknown>;
  const channel = new MessageChannel<unknown, unknown>(socket, () => {});
  for (const { message, attachment } of messages) channel.send(message, attachment);
  return Buffer.concat(parts);
}

test("messages arrive as they were sent, however their bytes are cut", () => {
  const messages = Array.from({ length: 12 }, (_, n) => ({
    message: { n, text: "ä".repeat(n * 7) },
    attachment: new Uint8Array(n % 3 === 0 ? 0 : 10 ** (n % 6)).fill(n),
  }));
  const bytes = written(messages);
  for (const size of [1, 3, 7, 8, 9, 64, 1_000, 65_536, 100_001, bytes.length]) {
    const received: typeof messages = [];
    const channel = new MessageChannel<unknown, (typeof messages)[0]["message"]>(
      {} as Socket<unknown>,
      (message, attachment) => received.push({ message, attachment: Uint8Array.from(attachment) }),
    );
    // Bun uses the buffer of a chunk again.
    const chunk = Buffer.alloc(size);
    for (let at = 0; at < bytes.length; at += size) {
      const length = bytes.copy(chunk, 0, at, at + size);
      channel.data(chunk.subarray(0, length));
      chunk.fill(0xff);
    }
    expect(received).toEqual(messages);
  }
});

test("bytes that are no message are refused", () => {
  for (const [length, json] of [
    [0, 0],
    [3, 0],
    [0xffff_ffff, 2],
    [10, 100],
  ] as const) {
    const channel = new MessageChannel<unknown, unknown>({} as Socket<unknown>, () => {});
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(length, 0);
    bytes.writeUInt32LE(json, 4);
    expect(() => channel.data(bytes)).toThrow("message");
  }
});
