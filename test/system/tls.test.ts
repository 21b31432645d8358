/** HTTPS and WebSockets over TLS, certificates that are renewed, clients that need one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { type Certificate, selfSigned, signedBy } from "../support/certificates.ts";
import { failingStart } from "../support/failing-start.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const folder = tempDir();
const first = selfSigned(folder.path, "first");
afterAll(() => folder[Symbol.dispose]());

const flagsOf = ({ cert, key }: Certificate): string[] => ["--tls-cert", cert, "--tls-key", key];
const trusting = (cert: string): object => ({ tls: { ca: readFileSync(cert, "utf8") } });

async function save(server: RunningServer, cert: string, price: number): Promise<number> {
  const data = [{ timestamp: new Date(Date.UTC(2024, 0, 2) + price).toISOString(), price, size: 1 }];
  const params = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
  const response = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command: "save_realtime_data", params }),
    ...trusting(cert),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Of the certificate that a new connection gets. */
async function servedName(server: RunningServer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: "127.0.0.1", port: server.port, rejectUnauthorized: false },
      () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

test.each([1, 2])(
  "commands, /v1 and WebSockets go over TLS with %d workers, and nothing goes without",
  async (workers) => {
    await using server = await startServer({ flags: flagsOf(first), workers });
    const updates: string[] = [];
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ws?symbol=A`, trusting(first.cert) as never);
    socket.onmessage = ({ data }) => updates.push(String(data));
    await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
    await waitUntil("it is subscribed", () => updates.length > 0);
    expect(await save(server, first.cert, 7)).toBe(200);
    await waitUntil("the update has come", () => updates.some((text) => text.includes("trade")));
    const answer = await fetch(`${server.url}/v1/trades?symbols=A`, trusting(first.cert));
    expect(((await answer.json()) as { trades: { A: object[] } }).trades.A).toHaveLength(1);
    socket.close();
    expect(server.log()).toContain(`https://localhost:${server.port}`);
    await expect(fetch(`http://127.0.0.1:${server.port}/live`)).rejects.toThrow();
    await expect(fetch(`${server.url}/live`)).rejects.toThrow();
    const checked = await runCli(["check", server.url]);
    expect(checked.code).toBe(1);
  },
);

test.each([1, 2])(
  "a renewed certificate is served, and no request or WebSocket is lost, with %d workers",
  async (workers) => {
    const served = {
      cert: join(folder.path, `served-${workers}.crt`),
      key: join(folder.path, `served-${workers}.key`),
    };
    copyFileSync(first.cert, served.cert);
    copyFileSync(first.key, served.key);
    const both = join(folder.path, `both-${workers}.crt`);
    const second = selfSigned(folder.path, `second-${workers}`);
    writeFileSync(both, readFileSync(first.cert, "utf8") + readFileSync(second.cert, "utf8"));
    await using server = await startServer({ flags: flagsOf(served), workers });
    const updates: string[] = [];
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ws?symbol=A`, trusting(first.cert) as never);
    socket.onmessage = ({ data }) => updates.push(String(data));
    await waitUntil("it is subscribed", () => updates.length > 0);
    expect(await servedName(server)).toBe("first");

    let isOver = false;
    let saved = 0;
    const failures: unknown[] = [];
    const saving = (async () => {
      while (!isOver)
        try {
          expect(await save(server, both, ++saved)).toBe(200);
        } catch (error) {
          failures.push(error);
        }
    })();
    // As certbot does it: the certificate comes first, and doesn't fit the key for a moment.
    for (const part of ["cert", "key"] as const) {
      copyFileSync(second[part], `${served[part]}.new`);
      renameSync(`${served[part]}.new`, served[part]);
      await Bun.sleep(1_500);
    }
    const isRenewed = async (): Promise<boolean> => {
      for (let i = 0; i < 5 * workers; i++)
        if ((await servedName(server)) !== `second-${workers}`) return false;
      return true;
    };
    await waitUntil("every worker serves it", isRenewed);
    await Bun.sleep(1_000);
    isOver = true;
    await saving;
    expect(failures).toEqual([]);
    expect(saved).toBeGreaterThan(10);
    expect(server.log()).toContain("the certificate from before is served");
    await waitUntil(
      "each update has come",
      () => updates.filter((text) => text.includes("trade")).length >= saved,
    );
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.close();
  },
);

test("a chain that is cut ends no worker, and its whole is served later", async () => {
  const served = { cert: join(folder.path, "chain.crt"), key: join(folder.path, "chain.key") };
  copyFileSync(first.cert, served.cert);
  copyFileSync(first.key, served.key);
  await using server = await startServer({ flags: flagsOf(served), workers: 2 });
  const second = selfSigned(folder.path, "chained");
  const whole = readFileSync(second.cert, "utf8");
  copyFileSync(second.key, served.key);
  writeFileSync(served.cert, whole + whole.slice(0, whole.length / 2));
  await server.logged("got another thing as number 2");
  expect(await servedName(server)).toBe("first");
  writeFileSync(served.cert, `${whole}-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n`);
  await Bun.sleep(2_500);
  expect(await servedName(server)).toBe("first");
  expect(server.log()).not.toContain("exited");
  writeFileSync(served.cert, whole + readFileSync(first.cert, "utf8"));
  await waitUntil("it is served", async () => (await servedName(server)) === "chained");
});

test("with --tls-client-ca only clients with a certificate of that authority get in", async () => {
  const authority = selfSigned(folder.path, "authority");
  const rogue = selfSigned(folder.path, "rogue");
  const known = signedBy(authority, folder.path, "known");
  // No key is needed on an address that others reach: the certificate is asked for.
  await using server = await startServer({
    flags: [...flagsOf(first), "--tls-client-ca", authority.cert, "--host", "0.0.0.0"],
    tls: { cert: readFileSync(known.cert, "utf8"), key: readFileSync(known.key, "utf8") },
  });
  const ask = async (client: Certificate | null): Promise<number> => {
    const own =
      client === null
        ? {}
        : { cert: readFileSync(client.cert, "utf8"), key: readFileSync(client.key, "utf8") };
    const { status } = await fetch(`${server.url}/live`, {
      headers: { connection: "close" },
      keepalive: false,
      tls: { ca: readFileSync(first.cert, "utf8"), ...own },
    });
    return status;
  };
  expect(await ask(known)).toBe(200);
  for (let i = 0; i < 20; i++) {
    await expect(ask(null)).rejects.toThrow();
    await expect(ask(rogue)).rejects.toThrow();
  }
  expect(await ask(known)).toBe(200);
});

test("files that don't fit are told at the start, by flag and file", async () => {
  const other = selfSigned(folder.path, "other");
  const torn = join(folder.path, "torn.crt");
  writeFileSync(torn, readFileSync(first.cert, "utf8").slice(0, 200));
  const said = async (flags: string[]): Promise<string> => {
    const { code, output } = await failingStart([
      "--db-file",
      join(folder.path, "a.db"),
      "--port",
      "0",
      ...flags,
    ]);
    expect(code).toBe(1);
    return output;
  };
  expect(await said(["--tls-cert", first.cert])).toContain("--tls-key: expected a file");
  expect(await said(["--tls-key", first.key])).toContain("--tls-cert: expected a file");
  expect(await said(flagsOf({ cert: first.cert, key: other.key }))).toContain(
    "is not the key of the certificate",
  );
  expect(await said(flagsOf({ cert: torn, key: first.key }))).toContain(
    "torn.crt: expected certificates in PEM",
  );
  expect(await said(flagsOf({ cert: first.cert, key: join(folder.path, "none.key") }))).toContain("none.key");
});

test("a client that keeps its connection and doesn't read doesn't hold up the end", async () => {
  const server = await startServer({ flags: flagsOf(first) });
  const socket: TLSSocket = connect({
    ...{ host: "127.0.0.1", port: server.port, rejectUnauthorized: false, allowHalfOpen: true },
  });
  socket.on("error", () => undefined);
  socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  try {
    // Bun would wait 12 s for it.
    expect(await server.stop("SIGTERM", 10_000)).toBe(0);
  } finally {
    socket.destroy();
    await server[Symbol.asyncDispose]();
  }
});
