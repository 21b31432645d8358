/** WebSockets whose clients say who they are by their first message. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { CLOSE_KEY } from "../../src/protocol/codes.ts";
import { addKey, bearer } from "../support/keys.ts";
import { get, type Json } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

/** Of src/websocket/unnamed-sockets.ts. */
const PER_ADDRESS_MAX = 16;

let folder: ReturnType<typeof tempDir>;
let server: RunningServer;
let keys: Record<"stream" | "read" | "some" | "slow" | "one" | "admin", string>;

beforeAll(async () => {
  folder = tempDir();
  const path = join(folder.path, "some.keys");
  keys = {
    stream: await addKey(path, "all", "stream"),
    read: await addKey(path, "reader", "read"),
    some: await addKey(path, "some", "stream", ["--tickers", "A*"]),
    slow: await addKey(path, "slow", "stream", ["--rate", "1/h"]),
    one: await addKey(path, "one", "stream", ["--sockets", "1"]),
    admin: await addKey(path, "chief", "admin"),
  };
  const audit = ["--audit-log", join(folder.path, "audit.jsonl")];
  server = await startServer({ flags: ["--keys", path, ...audit] });
  const save = await fetch(`${server.url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(keys.admin) },
    body: JSON.stringify({ trades: [{ S: "A", t: "2024-01-02T15:00:00Z", p: 5, s: 1 }] }),
  });
  expect(save.status).toBe(200);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

interface Opened {
  socket: WebSocket;
  heard: Json[];
  /** The code of its end; null before. */
  closed(): number | null;
}

async function open(
  door: string,
  messages: readonly (string | object)[] = [],
  to: RunningServer = server,
): Promise<Opened> {
  const socket = new WebSocket(to.wsUrl + door);
  const heard: Json[] = [];
  let code: number | null = null;
  socket.onmessage = ({ data }) => heard.push(JSON.parse(String(data)));
  socket.onclose = (event) => {
    code = event.code;
  };
  await waitUntil("an end of the handshake", () => socket.readyState !== WebSocket.CONNECTING);
  for (const message of messages)
    if (socket.readyState === WebSocket.OPEN)
      socket.send(typeof message === "string" ? message : JSON.stringify(message));
  return { socket, heard, closed: () => code };
}

const auth = (token: unknown): object => ({ action: "auth", token });

test("a client that says who it is gets what it has asked for, by the URL and by messages", async () => {
  const one = await open("/ws?symbol=A", [auth(keys.stream)]);
  await waitUntil("the price has come", () => one.heard.some(({ data }) => data?.type === "initial_price"));
  expect(one.heard[0]).toEqual({ type: "authenticated", name: "all" });
  const early = { action: "subscribe", symbols: ["A"] };
  const other = await open("/ws?symbols=", [auth(keys.stream), early]);
  await waitUntil("what came early is answered", () =>
    other.heard.some(({ data }) => data?.type === "snapshot"),
  );
  const replay = await open("/ws/replay?symbols=A&start=2024-01-02&end=2024-01-03&speed=max", [
    auth(keys.stream),
  ]);
  await waitUntil("it has ended", () => replay.closed() !== null);
  expect([replay.closed(), JSON.stringify(replay.heard)]).toEqual([
    1000,
    expect.stringContaining("replay_end"),
  ]);
  one.socket.close();
  other.socket.close();
});

test.each<[string, () => (string | object)[], string, RegExp]>([
  ["an unknown key", () => [auth(`sdb_${"x".repeat(43)}`)], "key_not_valid", /not known/],
  ["no token", () => [{ action: "auth" }], "key_not_valid", /expected \{"action":"auth"/],
  [
    "another message",
    () => [{ action: "subscribe", symbols: ["A"] }],
    "key_not_valid",
    /as the first message/,
  ],
  ["no JSON", () => ["hello"], "key_not_valid", /as the first message/],
  ["a key without the scope", () => [auth(keys.read)], "not_allowed", /reader lacks the scope stream/],
])("%s gets an error frame and 4401", async (_name, messages, code, expected) => {
  const { heard, closed } = await open("/ws?symbol=A", messages());
  await waitUntil("it is closed", () => closed() !== null);
  expect(closed()).toBe(CLOSE_KEY);
  expect(heard).toEqual([{ type: "error", code, error: expect.stringMatching(expected) }]);
});

test("who says nothing is closed after seconds", async () => {
  const { heard, closed } = await open("/ws?symbol=A");
  await waitUntil("it is closed", () => closed() !== null);
  expect(closed()).toBe(CLOSE_KEY);
  expect(heard[0].error).toContain("no message came within 5 s");
});

test("tickers, rates and bounds of its key hold", async () => {
  const other = await open("/ws?symbol=B", [auth(keys.some)]);
  await waitUntil("it is closed", () => other.closed() !== null);
  expect([other.closed(), other.heard[0]]).toEqual([
    CLOSE_KEY,
    expect.objectContaining({ code: "not_allowed" }),
  ]);
  const [first, second] = [await open("/ws?symbol=A", [auth(keys.one)]), await open("/ws?symbol=A")];
  await waitUntil("the first is let in", () => first.heard.length > 0);
  second.socket.send(JSON.stringify(auth(keys.one)));
  await waitUntil("the second is closed", () => second.closed() !== null);
  expect([second.closed(), second.heard[0].error]).toEqual([
    1013,
    expect.stringContaining("the key one has 1"),
  ]);
  first.socket.close();
  const slow = [await open("/ws?symbol=A", [auth(keys.slow)]), await open("/ws?symbol=A", [auth(keys.slow)])];
  await waitUntil("one too many is closed", () => slow.some(({ closed }) => closed() === 1013));
  for (const { socket } of slow) socket.close();
});

test("those that haven't said it are bounded for each address, and make room when they go", async () => {
  const silent = await Promise.all(Array.from({ length: PER_ADDRESS_MAX }, () => open("/ws?symbol=A")));
  const isOpen = ({ socket }: Opened): boolean => socket.readyState === WebSocket.OPEN;
  expect(silent.every(isOpen)).toBe(true);
  const further = await open("/ws?symbol=A", [auth(keys.stream)]);
  expect(isOpen(further)).toBe(false);
  for (const { socket } of silent) socket.close();
  await waitUntil("there is room", async () => {
    const next = await open("/ws?symbol=A", [auth(keys.stream)]);
    const isIn = isOpen(next);
    next.socket.close();
    return isIn;
  });
});

test("what comes while the first message is looked at waits, within a bound", async () => {
  const issuing = Promise.withResolvers<void>();
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const keySet = { keys: [publicKey.export({ format: "jwk" })] };
  using issuer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async () => {
      await issuing.promise;
      return Response.json(keySet);
    },
  });
  const of = ["--jwt-issuer", "i", "--jwt-audience", "a"];
  await using own = await startServer({
    flags: ["--jwt-jwks-url", `http://127.0.0.1:${issuer.port}/`, ...of],
  });
  const token = await new SignJWT({ scope: "stream" })
    .setProtectedHeader({ alg: "EdDSA" })
    .setSubject("bob")
    .setIssuer("i")
    .setAudience("a")
    .setExpirationTime("1h")
    .sign(privateKey);
  const subscribe = { action: "subscribe", symbols: ["A"] };
  const patient = await open("/ws?symbols=", [auth(token), subscribe], own);
  const flood = await open("/ws?symbols=", [auth(token), ...Array(20).fill(subscribe)], own);
  const leaving = await open("/ws?symbols=", [auth(token)], own);
  await waitUntil("the flood is closed", () => flood.closed() !== null);
  expect([flood.closed(), flood.heard]).toEqual([
    1013,
    [{ type: "error", code: "unavailable", error: expect.stringContaining("too many messages") }],
  ]);
  leaving.socket.close();
  expect(patient.heard).toEqual([]);
  issuing.resolve();
  await waitUntil("what came early is answered", () => patient.heard.length > 1);
  expect(patient.heard[0]).toEqual({ type: "authenticated", name: "jwt:bob" });
  patient.socket.close();
});

test("a page of another site is refused before it may say anything, and refusals are in the audit", async () => {
  const response = await fetch(`${server.url}/ws?symbol=A`, {
    headers: {
      ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", origin: "https://evil.example" },
    },
  });
  expect(response.status).toBe(403);
  expect((await get(`${server.url}/ws?symbol=A`)).status).toBe(401);
  await waitUntil("it is told", () => {
    const lines = readFileSync(join(folder.path, "audit_refused.jsonl"), "utf8");
    return lines.includes("no message came within") && lines.includes('"who":"reader"');
  });
});

test("a key that ends ends it too", async () => {
  const path = join(folder.path, "passing.keys");
  const passing = await addKey(path, "passing", "stream");
  await addKey(path, "rest", "stream");
  await using own = await startServer({ flags: ["--keys", path] });
  const socket = new WebSocket(`${own.wsUrl}/ws?symbol=A`);
  let code = 0;
  socket.onclose = (event) => {
    code = event.code;
  };
  let heard = 0;
  socket.onmessage = () => heard++;
  socket.onopen = () => socket.send(JSON.stringify(auth(passing)));
  await waitUntil("it is let in", () => heard > 0);
  await runCli(["keys", "revoke", "passing", "--keys", path]);
  await waitUntil("it is closed", () => code !== 0);
  expect(code).toBe(CLOSE_KEY);
});
