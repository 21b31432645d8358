/**
 * Messages of every kind over a WebSocket: each is answered, and the connection and the process go
 * on.
 */
import { expect, test } from "bun:test";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

/** Can be parsed, and is deeper than the stack of what walks through it. */
const DEPTH = 60_000;
const DEEP_LIST = "[".repeat(DEPTH) + "]".repeat(DEPTH);
const DEEP_OBJECT = `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`;
const NOT_JSON = ["", "{", "NaN", '{"action":"subscribe"', "\u0000"];
const NO_ACTION = ["null", "5", '"text"', "[]", DEEP_LIST, "[".repeat(1_000_000)];
const VALUES = ["null", "true", "5", '""', '"\\ud800"', "[]", "[null]", "[[]]", "{}", DEEP_LIST, DEEP_OBJECT];

/** `{"action":"subscribe"}` with one wrong member. */
const WRONG_MEMBERS = ["symbols", "types", "since", "epoch", "snapshot"].flatMap((name) =>
  VALUES.map((value) => {
    const symbols = name === "symbols" ? "" : ',"symbols":["B"]';
    return `{"action":"subscribe"${symbols},"${name}":${value}}`;
  }),
);

test("no message ends the connection of its sender, or the process", async () => {
  // With fewer symbols the larger ones would close the socket.
  await using server = await startServer({ flags: ["--ws-symbols-max", "10000"] });
  await using sender = await Subscriber.open(server.wsUrl, "A");
  const answers = () => sender.frames.filter(({ type }) => type === "error" || type === "subscription");
  const messages: (string | Uint8Array<ArrayBuffer>)[] = [
    ...NOT_JSON,
    ...NO_ACTION,
    ...VALUES.map((value) => `{"action":${value}}`),
    ...WRONG_MEMBERS,
    DEEP_OBJECT,
    new Uint8Array(0),
    new TextEncoder().encode('{"action":"unsubscribe"}'),
  ];
  for (const message of messages) {
    const before = answers().length;
    sender.send(message);
    await waitUntil(`an answer to ${String(message).slice(0, 60)}`, () => answers().length > before);
  }
  expect(sender.closed).toBeNull();
  expect(sender.errors.slice(-2)).toEqual(["bad_message", "bad_message"]);
  expect(sender.errors.slice(0, NOT_JSON.length)).toEqual(NOT_JSON.map(() => "bad_json"));
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  await server.stop();
  expect(server.log()).not.toContain("[ERROR]");
});
