/** Frames that RFC 6455 forbids, and messages that no client should send. */
import { encodeFrame, type FrameParts, OPCODE } from "../../test/support/web-socket-frames.ts";
import type { Attack, Target } from "../attack.ts";
import { askAttackSocket, openAttackSocket } from "../attack-socket.ts";

const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;
const TOO_LARGE = 1009;
const ANSWER_MS = 2_000;
const POLL_MS = 20;
const DEEP = 1_000_000;

/** Each is closed with one of these codes, or without one, or cut off. */
const FORBIDDEN: [what: string, frames: FrameParts[], codes: number[]][] = [
  ["an unmasked text", [{ opcode: OPCODE.text, payload: "{}", masked: false }], [PROTOCOL_ERROR]],
  ["a reserved bit", [{ opcode: OPCODE.text, payload: "{}", reserved: 4 }], [PROTOCOL_ERROR]],
  ["a reserved opcode", [{ opcode: 3, payload: "x" }], [PROTOCOL_ERROR]],
  ["a ping in pieces", [{ opcode: OPCODE.ping, payload: "a", fin: false }], [PROTOCOL_ERROR]],
  ["a long ping", [{ opcode: OPCODE.ping, payload: "a".repeat(126) }], [PROTOCOL_ERROR]],
  ["a piece of nothing", [{ opcode: 0, payload: "x" }], [PROTOCOL_ERROR]],
  [
    "a text within a text",
    [
      { opcode: OPCODE.text, payload: "a", fin: false },
      { opcode: OPCODE.text, payload: "b" },
    ],
    [PROTOCOL_ERROR],
  ],
  ["a text that is not UTF-8", [{ opcode: OPCODE.text, payload: Buffer.from([0xff, 0xfe]) }], [NOT_UTF8]],
  ["2^63 bytes announced", [{ opcode: OPCODE.text, length: 2n ** 63n - 1n }], [TOO_LARGE, PROTOCOL_ERROR]],
  ["5 MB announced", [{ opcode: OPCODE.text, length: 5 * 2 ** 20 }], [TOO_LARGE]],
  ["a close of one byte", [{ opcode: OPCODE.close, payload: "\x03" }], [PROTOCOL_ERROR]],
  ["a close code of 999", [{ opcode: OPCODE.close, payload: Buffer.from([3, 231]) }], [PROTOCOL_ERROR]],
];

/**
 * Each gets an error frame, and the socket goes on or is closed; the server goes on in any case.
 */
const NONSENSE: string[] = [
  "[".repeat(DEEP),
  '{"a":'.repeat(100_000),
  '{"__proto__":{"action":"subscribe","symbols":["A"]}}',
  '{"action":"subscribe","symbols":["__proto__"],"since":{"__proto__":5}}',
  '{"action":"subscribe","symbols":["constructor"],"since":{"constructor":1}}',
  `{"action":"subscribe","symbols":${JSON.stringify(Array.from({ length: 1_001 }, (_, i) => `T${i}`))}}`,
  `{"action":"subscribe","symbols":["${"A".repeat(1_025)}"]}`,
  `{"action":"subscribe","symbols":["A"],"types":${JSON.stringify(Array.from({ length: 101 }, (_, i) => `t${i}`))}}`,
  `{"action":"${"x".repeat(1_000_000)}"}`,
  ...["-1", "1e99", '"NaN"', "null", "[]", "{}", "1.5", "9007199254740993", "true"].map(
    (since) => `{"action":"subscribe","symbols":["IBM"],"since":${since}}`,
  ),
];

const QUERIES = [
  ...["-1", "1e99", "NaN", "1.5", "9007199254740993", "0x10", "%201", "2024-13-01", "%00", "Infinity"].map(
    (since) => `/ws?symbol=IBM&since=${since}`,
  ),
  ...["", "x", "%22%7D", "%0d%0a", "a".repeat(8_000)].map((epoch) => `/ws?symbol=IBM&since=1&epoch=${epoch}`),
  "/ws?symbol=%00",
  "/ws?symbol=A%0aB",
  `/ws?symbol=${"A".repeat(1_025)}`,
  "/ws?symbol=A&types=",
  "/ws?symbol=A&slow=never",
  "/ws/replay?symbol=IBM&start=0000&end=99999",
  "/ws/replay?symbol=IBM&end=2300",
  "/ws/replay?symbol=IBM&speed=-1",
];

export const SOCKET_FRAMES: readonly Attack[] = [
  {
    name: "forbidden-frames",
    about: "sends frames that break the rules of WebSockets, each on a socket of its own",
    async run(target) {
      for (const [what, frames, codes] of FORBIDDEN) await sendForbidden(target, what, frames, codes);
    },
  },
  {
    name: "nonsense-messages",
    about: "sends messages that are too deep, too long, or not what they should be",
    async run(target) {
      for (const payload of NONSENSE) {
        using client = await openAttackSocket(target.port, "/ws?symbol=IBM");
        client.messages.length = 0;
        await client.send(encodeFrame({ opcode: OPCODE.text, payload }));
        await until(() => client.ended || client.texts.some((text) => /"error"|subscription/.test(text)));
        if (!client.ended && client.texts.length === 0)
          target.complain(`no answer to the message ${payload.slice(0, 80)}`);
      }
      using client = await openAttackSocket(target.port, "/ws?symbol=IBM");
      await client.send(encodeFrame({ opcode: OPCODE.binary, payload: Buffer.from([0, 1, 2]) }));
    },
  },
  {
    name: "nonsense-queries",
    about: "opens WebSockets with parameters that mean nothing",
    async run(target) {
      for (const path of QUERIES) {
        using client = await askAttackSocket(target.port, path);
        if (client?.handshake.status === 500)
          target.complain(`${path}: ${client.handshake.text.slice(0, 200)}`);
      }
    },
  },
];

async function sendForbidden(
  target: Target,
  what: string,
  frames: FrameParts[],
  codes: number[],
): Promise<void> {
  using client = await openAttackSocket(target.port, "/ws?symbol=IBM");
  for (const frame of frames) await client.send(encodeFrame(frame));
  await until(() => client.ended || client.closeFrame !== null);
  const code = client.closeFrame?.code ?? null;
  if (code === null && !client.ended) target.complain(`${what}: the socket goes on`);
  if (code !== null && code !== 1005 && !codes.includes(code))
    target.complain(`${what}: closed with ${code}, expected ${codes.join(" or ")}`);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + ANSWER_MS;
  while (!condition() && performance.now() < deadline) await Bun.sleep(POLL_MS);
}
