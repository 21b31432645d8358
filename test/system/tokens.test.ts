/** Tokens that others issue (JWT): what is taken, what is refused, and what becomes of them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { type JWTPayload, SignJWT } from "jose";
import { CLOSE_KEY } from "../../src/protocol/codes.ts";
import { failingStart } from "../support/failing-start.ts";
import { addKey, bearer } from "../support/keys.ts";
import { get, type Json } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const ISSUER = "https://issuer.example";
const AUDIENCE = "stocks";
const OF = ["--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE];
/** Of src/access/token-ring.ts. */
const TOLERANCE_S = 10;

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const secret = Buffer.from("0123456789abcdef0123456789abcdef!");
const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" }) as string;

let folder: ReturnType<typeof tempDir>;

beforeAll(() => {
  folder = tempDir();
  file("rsa.pem", publicPem);
  file("ec.jwk", JSON.stringify(ec.publicKey.export({ format: "jwk" })));
  file("ed.pem", ed.publicKey.export({ type: "spki", format: "pem" }) as string);
  file("secret", `${secret}\n`);
});

afterAll(() => folder[Symbol.dispose]());

function file(name: string, text: string): string {
  writeFileSync(join(folder.path, name), text);
  return join(folder.path, name);
}

const at = (name: string): string => join(folder.path, name);
const nowS = (): number => Math.floor(Date.now() / 1_000);

interface Signed {
  alg: string;
  by: KeyObject | Uint8Array;
  kid?: string;
}

function sign({ alg, by, kid }: Signed, claims: JWTPayload = {}): Promise<string> {
  const all = {
    sub: "alice",
    iss: ISSUER,
    aud: AUDIENCE,
    exp: nowS() + 600,
    scope: "read stream",
    ...claims,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(given).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(by);
}

/** A token that no library makes. */
function forged(header: object, claims: object, signature: (signed: string) => string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${signature(signed)}`;
}

const ask = async ({ url }: RunningServer, token: string | null, door = "/v1/tickers") => {
  const { status, body } = await get(url + door, bearer(token));
  return [status, body.error ?? ""] as [number, string];
};

const RSA: Signed = { alg: "RS256", by: rsa.privateKey };
const SECRET: Signed = { alg: "HS256", by: secret };

describe("one key", () => {
  test.each<[string, string[], Signed]>([
    ["a secret", ["--jwt-secret-file", "secret"], SECRET],
    ["RSA in PEM", ["--jwt-key-file", "rsa.pem"], RSA],
    ["ECDSA as a JWK", ["--jwt-key-file", "ec.jwk"], { alg: "ES256", by: ec.privateKey }],
    ["Ed25519 in PEM", ["--jwt-key-file", "ed.pem"], { alg: "EdDSA", by: ed.privateKey }],
  ])("%s takes its own tokens alone", async (_name, [flag, name], own) => {
    await using server = await startServer({ flags: [flag!, at(name!), ...OF] });
    expect(await ask(server, await sign(own))).toEqual([200, ""]);
    expect((await ask(server, null))[0]).toBe(401);
    expect((await ask(server, "sdb_unknown"))[0]).toBe(401);
    for (const other of [
      SECRET,
      RSA,
      { alg: "ES256", by: ec.privateKey },
      { alg: "EdDSA", by: ed.privateKey },
    ])
      if (other.alg !== own.alg)
        expect([other.alg, (await ask(server, await sign(other)))[0]]).toEqual([other.alg, 401]);
    const claims = { sub: "eve", iss: ISSUER, aud: AUDIENCE, exp: nowS() + 600, scope: "admin" };
    for (const alg of ["none", "None", "NONE"])
      expect(
        (
          await ask(
            server,
            forged({ alg }, claims, () => ""),
          )
        )[0],
      ).toBe(401);
    // The public key as a secret of HS256, as it is and without its last line end.
    for (const key of [publicPem, publicPem.trim(), readFileSync(at(name!), "utf8")]) {
      const hmac = (signed: string): string => createHmac("sha256", key).update(signed).digest("base64url");
      expect((await ask(server, forged({ alg: "HS256" }, claims, hmac)))[0]).toBe(401);
    }
    const [header, , signature] = (await sign(own)).split(".");
    const changed = Buffer.from(JSON.stringify(claims)).toString("base64url");
    expect((await ask(server, `${header}.${changed}.${signature}`))[0]).toBe(401);
  });
});

describe("claims", () => {
  let server: RunningServer;
  let keys: string;
  let audit: string;

  beforeAll(async () => {
    keys = at("some.keys");
    audit = at("audit.jsonl");
    const scopes = ["--jwt-scope-claim", "roles", "--jwt-scopes", "desk=read+stream,https://a/write=write"];
    const rules = [...scopes, "--jwt-scopes", "boss=admin", "--jwt-tickers-claim", "tickers"];
    await addKey(keys, "desk", "read");
    server = await startServer({
      flags: ["--jwt-key-file", at("rsa.pem"), ...OF, ...rules, "--keys", keys, "--audit-log", audit],
      workers: 2,
    });
    const bars = { bars: ["A1", "B1"].map((S) => ({ S, t: "2024-01-02", c: 1 })) };
    const boss = await sign(RSA, { roles: ["boss"], tickers: "*" });
    const saved = await fetch(`${server.url}/v1/bars?timeframe=1Day`, {
      method: "POST",
      headers: { "content-type": "application/json", ...bearer(boss) },
      body: JSON.stringify(bars),
    });
    expect(saved.status).toBe(200);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each<[string, JWTPayload, RegExp]>([
    ["another issuer", { iss: "https://evil.example" }, /"iss"/],
    ["another audience", { aud: "mail" }, /"aud"/],
    ["no audience", { aud: undefined } as never, /"aud"/],
    ["an end that is over", { exp: nowS() - TOLERANCE_S - 5 }, /has expired/],
    ["no end", { exp: undefined } as never, /"exp"/],
    ["a beginning to come", { nbf: nowS() + 60 }, /"nbf"/],
    ["no subject", { sub: undefined } as never, /"sub"/],
    ["a subject with control characters", { sub: "a\nb" }, /claim sub/],
    ["no tickers", { tickers: undefined }, /claim tickers/],
    ["tickers that are none", { tickers: [1] }, /claim tickers/],
    ["admin of some tickers", { roles: "boss", tickers: "A*" }, /admin, which is of all/],
  ])("%s is 401, and says so", async (_name, claims, expected) => {
    const [status, error] = await ask(server, await sign(RSA, { roles: "desk", tickers: "*", ...claims }));
    expect([status, error]).toEqual([401, expect.stringMatching(expected)]);
  });

  test("values of the scope claim are mapped, as a list or a text; others mean nothing", async () => {
    const tickers = "*";
    for (const roles of ["desk", ["x", "desk"], "other desk"])
      expect((await ask(server, await sign(RSA, { roles, tickers })))[0]).toBe(200);
    for (const roles of ["read", "admin", [], 5, undefined, "https://a/write"]) {
      const [status, error] = await ask(server, await sign(RSA, { roles, tickers }));
      expect([roles, status, error]).toEqual([
        roles,
        403,
        "/v1/tickers: the key jwt:alice lacks the scope read",
      ]);
    }
    expect((await ask(server, await sign(RSA, { roles: "boss", tickers }), "/stats/pool"))[0]).toBe(200);
  });

  test("a token of some tickers sees those alone", async () => {
    const token = await sign(RSA, { roles: "desk", tickers: ["A*"] });
    expect((await ask(server, token, "/v1/bars?symbols=A1&timeframe=1Day"))[0]).toBe(200);
    expect((await ask(server, token, "/v1/bars?symbols=B1&timeframe=1Day"))[0]).toBe(403);
    const { body } = await get(`${server.url}/v1/bars?symbols=*&timeframe=1Day`, bearer(token));
    expect(Object.keys(body.bars)).toEqual(["A1"]);
  });

  test("the audit has the subject, and no log has the token", async () => {
    const token = await sign(RSA, { sub: "bob@desk", roles: "desk", tickers: "*" });
    expect((await ask(server, token))[0]).toBe(200);
    await waitUntil("it is told", () => readFileSync(audit, "utf8").includes('"who":"jwt:bob@desk"'));
    for (const text of [readFileSync(audit, "utf8"), server.log()]) expect(text).not.toContain(token);
  });

  test("it may be sent wherever a key may", async () => {
    const token = await sign(RSA, { roles: "desk", tickers: "*" });
    const basic = `Basic ${Buffer.from(`any:${token}`).toString("base64")}`;
    expect((await get(`${server.url}/v1/tickers`, { authorization: basic })).status).toBe(200);
    const socket = new WebSocket(`${server.wsUrl}/ws?symbol=A1`, ["stock-db", `bearer.${token}`]);
    await waitUntil("an end of the handshake", () => socket.readyState !== WebSocket.CONNECTING);
    expect([socket.readyState, socket.protocol]).toEqual([WebSocket.OPEN, "stock-db"]);
    socket.close();
    const told: Json[] = [];
    const later = new WebSocket(`${server.wsUrl}/ws?symbol=A1`);
    later.onmessage = ({ data }) => told.push(JSON.parse(String(data)));
    later.onopen = () => later.send(JSON.stringify({ action: "auth", token }));
    await waitUntil("it is answered", () => told.length > 0);
    expect(told[0]).toEqual({ type: "authenticated", name: "jwt:alice" });
    later.close();
    const heard: Json[] = [];
    const alpaca = new WebSocket(`${server.wsUrl}/v2/sip`);
    alpaca.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
    alpaca.onopen = () => alpaca.send(JSON.stringify({ action: "auth", key: "oauth", secret: token }));
    await waitUntil("it is answered", () => heard.length >= 2);
    expect(heard[1]).toMatchObject({ msg: "authenticated" });
    alpaca.close();
    await using front = await startServer({
      dbFile: `127.0.0.1:${server.port}`,
      env: { STOCK_DB_KEY: token },
    });
    expect((await get(`${front.url}/v1/bars?symbols=A1&timeframe=1Day`)).status).toBe(200);
  });

  test("one that ends ends its WebSockets and streams", async () => {
    const token = await sign(RSA, { roles: "desk", tickers: "*", exp: nowS() - TOLERANCE_S + 4 });
    const closed: number[] = [];
    for (const door of ["/ws?symbol=A1", "/v2/sip"]) {
      const socket = new WebSocket(server.wsUrl + door, { headers: bearer(token) });
      socket.onclose = ({ code }) => closed.push(code);
      await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
    }
    const events = await fetch(`${server.url}/v1/stream?symbols=A1`, { headers: bearer(token) });
    expect(events.status).toBe(200);
    await events.text();
    await waitUntil("both are closed", () => closed.length === 2);
    expect(closed).toEqual([CLOSE_KEY, CLOSE_KEY]);
    expect(await ask(server, token)).toEqual([401, "the token has expired"]);
  });
});

describe("the URL of an issuer's keys", () => {
  const jwk = (key: KeyObject, kid: string): object => ({
    ...key.export({ format: "jwk" }),
    kid,
    use: "sig",
  });

  function issuer(answer: () => Response) {
    let fetches = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch() {
        fetches++;
        return answer();
      },
    });
    return { server, url: `http://127.0.0.1:${server.port}/keys`, fetches: () => fetches };
  }

  test("is asked seldom, whatever tokens name, and its keys are kept while it is away", async () => {
    const known = [jwk(rsa.publicKey, "one"), { kty: "oct", k: "c2VjcmV0", kid: "oct" }];
    const { server: issuing, url, fetches } = issuer(() => Response.json({ keys: known }));
    await using server = await startServer({ flags: ["--jwt-jwks-url", url, ...OF] });
    expect((await ask(server, await sign({ ...RSA, kid: "one" })))[0]).toBe(200);
    expect(fetches()).toBe(1);
    const startedMs = performance.now();
    for (let i = 0; i < 30; i++)
      expect((await ask(server, await sign({ ...RSA, kid: `no-${i}` })))[0]).toBe(401);
    expect((await ask(server, await sign({ alg: "HS256", by: secret, kid: "oct" })))[0]).toBe(401);
    expect((await ask(server, await sign({ alg: "RS256", by: otherRsa.privateKey, kid: "one" })))[0]).toBe(
      401,
    );
    if (performance.now() - startedMs < 8_000) expect(fetches()).toBe(1);
    known.push(jwk(otherRsa.publicKey, "two"));
    const two = await sign({ alg: "RS256", by: otherRsa.privateKey, kid: "two" });
    await waitUntil("the new key is known", async () => (await ask(server, two))[0] === 200);
    expect(fetches()).toBeLessThanOrEqual(3);
    await issuing.stop(true);
    expect((await ask(server, await sign({ ...RSA, kid: "one" }, { sub: "late" })))[0]).toBe(200);
  });

  test.each<[string, () => Response, string]>([
    ["too much", () => new Response("x".repeat(300_000)), "more than 262144 bytes"],
    ["a redirection", () => Response.redirect("http://127.0.0.1:1/"), "edirect"],
    ["no keys", () => Response.json({}), "expected a JSON Web Key Set"],
    ["a failure", () => new Response("", { status: 500 }), "got status 500"],
  ])("that answers %s lets nobody in: 503", async (_name, answer, told) => {
    const { server: issuing, url } = issuer(answer);
    await using server = await startServer({ flags: ["--jwt-jwks-url", url, ...OF] });
    const [status, error] = await ask(server, await sign({ ...RSA, kid: "one" }));
    expect([status, error]).toEqual([503, expect.stringContaining("can't be fetched")]);
    await server.logged(told);
    await issuing.stop(true);
  });
});

test("what the flags must be, is told at the start", async () => {
  const short = file("short", "too short");
  const rsaPrivate = file("private.pem", rsa.privateKey.export({ type: "pkcs8", format: "pem" }) as string);
  const ecPrivate = file("private.jwk", JSON.stringify(ec.privateKey.export({ format: "jwk" })));
  const other = generateKeyPairSync("ec", { namedCurve: "secp384r1" }).publicKey;
  const curve = file("p384.pem", other.export({ type: "spki", format: "pem" }) as string);
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  const bits = file("weak.pem", weak.export({ type: "spki", format: "pem" }) as string);
  for (const [flags, expected] of [
    [["--jwt-secret-file", at("secret"), "--jwt-audience", "a"], "--jwt-issuer: expected"],
    [["--jwt-secret-file", at("secret"), "--jwt-issuer", "a"], "--jwt-audience: expected"],
    [["--jwt-issuer", "a"], "--jwt-issuer: expected one of"],
    [["--jwt-secret-file", at("secret"), "--jwt-key-file", at("rsa.pem"), ...OF], "got 2 keys"],
    [["--jwt-secret-file", short, ...OF], "got 9 bytes, expected a secret of at least 32"],
    [["--jwt-secret-file", at("rsa.pem"), ...OF], "got a key in PEM or JSON"],
    [["--jwt-key-file", rsaPrivate, ...OF], "got a private key"],
    [["--jwt-key-file", ecPrivate, ...OF], "got a private key"],
    [["--jwt-key-file", curve, ...OF], "got a key of ec secp384r1"],
    [["--jwt-key-file", bits, ...OF], "1024 bits"],
    [["--jwt-key-file", at("none"), ...OF], "none"],
    [["--jwt-jwks-url", "http://issuer.example/keys", ...OF], "a URL with https"],
    [["--jwt-scopes", "desk=everything"], "expected VALUE=SCOPE+SCOPE"],
  ] as [string[], string][]) {
    const { code, output } = await failingStart(["--port", "0", "--db-file", at("a.db"), ...flags]);
    expect([flags, code, output]).toEqual([flags, expect.any(Number), expect.stringContaining(expected)]);
    expect(code).not.toBe(0);
  }
});

test("with tokens a server may be reached from other machines without a file of keys", async () => {
  await using server = await startServer({
    flags: ["--host", "0.0.0.0", "--jwt-secret-file", at("secret"), ...OF],
  });
  expect((await ask(server, null))[0]).toBe(401);
  expect((await ask(server, await sign(SECRET)))[0]).toBe(200);
});

test("jose is loaded only where tokens are taken", () => {
  const root = join(import.meta.dir, "../../src");
  const loads = [...new Glob("**/*.ts").scanSync(root)].flatMap((path) =>
    readFileSync(join(root, path), "utf8")
      .split("\n")
      .filter((line) => /(from|import\()\s*"jose"/.test(line)),
  );
  expect(loads.length).toBeGreaterThan(1);
  for (const line of loads) expect(line).toMatch(/^import type |await import\("jose"\)/);
});
