/**
 * Messages to the hub's socket. Only the server's own processes can reach it, but a worker that is
 * out of order, or is killed within a message, must not take the hub with it.
 */
import { connect } from "node:net";
import fc from "fast-check";
import { READ_NAMES } from "../../src/hub/remote-reads.ts";
import type { Fuzz, FuzzTarget } from "./fuzzes.ts";

const TYPES = [
  ..."saves subscribe unsubscribe lease release busFigures hello admit left committed bus read sql next cancel".split(
    " ",
  ),
  "nonsense",
];
const NAMES = [...READ_NAMES, "constructor", "close"];
const QUIET_MS = 10;
const TICKER = "FUZZHUB";

interface Input {
  messages: Uint8Array[];
}

const scalar = fc.oneof(fc.integer(), fc.string({ maxLength: 10 }), fc.constant(null), fc.boolean());
const member = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.jsonValue({ maxDepth: 3 }));
const save = fc.oneof(
  fc.record({
    kind: fc.oneof(fc.constantFrom("bars", "ticks"), member),
    ticker: fc.oneof(fc.constant(TICKER), member),
    interval: fc.oneof(fc.constantFrom("daily", "hourly"), member),
    type: fc.oneof(fc.constant("trade"), member),
    onDuplicate: member,
    rows: fc.oneof(fc.array(fc.array(scalar, { maxLength: 8 }), { maxLength: 3 }), member),
  }),
  member,
);
const message = fc
  .record(
    {
      type: fc.oneof({ weight: 10, arbitrary: fc.constantFrom(...TYPES) }, { weight: 1, arbitrary: member }),
      id: fc.oneof(fc.nat(), member),
      workerId: member,
      addresses: member,
      address: member,
      ticker: fc.oneof(fc.constant(TICKER), member),
      saves: fc.oneof(fc.array(fc.tuple(fc.nat(), save, fc.nat({ max: 20 })), { maxLength: 3 }), member),
      updates: member,
      name: fc.oneof(fc.constantFrom(...NAMES), member),
      args: fc.oneof(fc.array(member, { maxLength: 4 }), member),
      request: member,
      timeoutMs: member,
      channel: fc.string({ maxLength: 8 }),
    },
    { requiredKeys: ["type"] },
  )
  .map((value) => framed(Buffer.from(JSON.stringify(value)), Buffer.alloc(0)));

export const hubMessages: Fuzz<Input> = {
  name: "hub-messages",
  input: () =>
    fc.record({
      messages: fc.array(
        fc.oneof(
          { weight: 6, arbitrary: message },
          { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
          {
            weight: 1,
            arbitrary: fc
              .tuple(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ maxLength: 30 }))
              .map(([json, attachment]) => framed(Buffer.from(json), Buffer.from(attachment))),
          },
        ),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  async send(target, { messages }) {
    await sendToHub(target.hubSocket, Buffer.concat(messages));
    await expectSaves(target);
  },
};

async function sendToHub(path: string, bytes: Uint8Array): Promise<void> {
  const socket = connect(path);
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  socket.on("data", () => undefined);
  socket.write(bytes, () => setTimeout(resolve, QUIET_MS));
  await promise;
  socket.destroy();
}

/** The hub goes on for those who behave. */
async function expectSaves(target: FuzzTarget): Promise<void> {
  const data = [{ timestamp: new Date().toISOString(), price: 1, size: 1 }];
  const params = { ticker: "AFTERHUB", data_type: "trade", index_col: "timestamp", data };
  const { status, text } = await target.command("save_realtime_data", params);
  if (status !== 200) throw new Error(`a save after it: ${status} ${text.slice(0, 300)}`);
}

/** As the server's processes frame them. */
function framed(json: Buffer, attachment: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(4 + json.length + attachment.length, 0);
  head.writeUInt32LE(json.length, 4);
  return Buffer.concat([head, json, attachment]);
}
