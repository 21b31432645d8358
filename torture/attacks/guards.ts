/**
 * Attacks on what guards a server: keys, limits and TLS; and on backups while its hub is killed.
 * Each starts the server that it needs beside the one that is under siege.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { selfSigned } from "../../test/support/certificates.ts";
import { saveNumbered, storedNumbers } from "../../test/support/numbered-saves.ts";
import { runCli } from "../../test/support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../../test/support/server.ts";
import { childrenOf, roleOf } from "../../test/support/server-processes.ts";
import { tempDir } from "../../test/support/temp-dir.ts";
import { type Attack, all, type Target } from "../attack.ts";

const GUESSES = 1_000;
const GUESSES_AT_ONCE = 50;
const FLOOD_AT_ONCE = 50;
const SILENT_SOCKETS = 200;
const CLIENTS = 6;
const KILLS = 3;
const OPEN_PATHS = ["/live", "/ready", "/health"];
const GUARDED_PATHS = ["/v1/trades?symbols=IBM", "/v1/sql?sql=SELECT+1", "/metrics", "/stats/pool"];
const ENDINGS: Partial<Record<Target["engine"], string>> = { sqlite: ".db", duckdb: ".duckdb" };

export const GUARDS: readonly Attack[] = [
  {
    name: "key-guesses",
    about: "keys that are wrong, cut, doubled, or another's hash, at every door: nobody is let in",
    engines: ["sqlite"],
    run: (target) => withKeyedServer(target, guessKeys),
  },
  {
    name: "key-flood",
    about: "a key sends far more than its rate allows: it gets 429, and the other key its answers",
    engines: ["sqlite"],
    run: (target) => withKeyedServer(target, floodByKey),
  },
  {
    name: "tls-bytes",
    about: "plain HTTP, random bytes, half handshakes and silence at a port with TLS",
    engines: ["sqlite"],
    run: attackTls,
  },
  {
    name: "backup-and-kills",
    about:
      "the hub is killed again and again while backups are taken: each is of one moment, with all before it",
    engines: ["sqlite", "duckdb"],
    mayDelay: "a second server, whose hub is killed, and backups take the processors",
    run: backUpBesideKills,
  },
];

interface Keyed {
  server: RunningServer;
  /** It may read and write. */
  key: string;
  /** It may send a few requests a second. */
  slow: string;
}

async function withKeyedServer(
  target: Target,
  run: (target: Target, keyed: Keyed) => Promise<void>,
): Promise<void> {
  using dir = tempDir();
  const file = join(dir.path, "keys");
  const key = await addKey(file, "desk", ["--may", "read,write"]);
  const slow = await addKey(file, "slow", ["--may", "read", "--rate", "5/s"]);
  await using server = await startServer({ workers: target.workers, flags: ["--keys", file] });
  await run(target, { server, key, slow });
}

async function addKey(file: string, name: string, flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(["keys", "add", name, "--keys", file, "--json", ...flags]);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { key: string }).key;
}

/** @returns the status. */
async function ask(url: string, headers: Record<string, string>): Promise<number> {
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
  await answer.body?.cancel();
  return answer.status;
}

async function guessKeys(target: Target, { server, key }: Keyed): Promise<void> {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const wrong: (() => Record<string, string>)[] = [
    () => bearer(`sdb_${randomBytes(32).toString("base64url")}`),
    () => bearer(key.slice(0, Math.floor(target.random() * key.length))),
    () => bearer(`${key}${key}`),
    () => bearer(createHash("sha256").update(key).digest("hex")),
    () => ({ authorization: `Basic ${btoa(`desk:${randomBytes(9).toString("hex")}`)}` }),
    () => ({ "APCA-API-KEY-ID": "desk", "APCA-API-SECRET-KEY": randomBytes(30).toString("base64url") }),
    () => ({ authorization: "x".repeat(Math.floor(target.random() * 8_000)) }),
  ];
  for (let sent = 0; sent < GUESSES; sent += GUESSES_AT_ONCE) {
    const guesses = Array.from({ length: GUESSES_AT_ONCE }, async (_, at) => {
      const path = GUARDED_PATHS[at % GUARDED_PATHS.length]!;
      const headers = wrong[Math.floor(target.random() * wrong.length)]!();
      const status = await ask(`${server.url}${path}`, headers).catch(() => 0);
      if (status >= 200 && status < 400)
        target.complain(`${path} was answered ${status} to ${JSON.stringify(headers).slice(0, 200)}`);
    });
    await all(guesses);
    const status = await ask(`${server.url}${GUARDED_PATHS[0]}`, bearer(key));
    if (status !== 200) target.complain(`the right key was answered ${status} beside guesses`);
  }
  for (const path of OPEN_PATHS) {
    const status = await ask(`${server.url}${path}`, {});
    if (status !== 200) target.complain(`${path} was answered ${status}`);
  }
  if (server.log().includes(key)) target.complain("the log has a key in it");
}

async function floodByKey(target: Target, { server, key, slow }: Keyed): Promise<void> {
  const url = `${server.url}${GUARDED_PATHS[0]}`;
  let isOver = false;
  const refusals = new Map<number, number>();
  const flood = Promise.all(
    Array.from({ length: FLOOD_AT_ONCE }, async () => {
      while (!isOver) {
        const status = await ask(url, { authorization: `Bearer ${slow}` }).catch(() => 0);
        refusals.set(status, (refusals.get(status) ?? 0) + 1);
      }
    }),
  );
  const until = performance.now() + target.seconds * 1_000;
  while (performance.now() < until) {
    const status = await ask(url, { authorization: `Bearer ${key}` });
    if (status !== 200) target.complain(`another key was answered ${status} beside the flood`);
  }
  isOver = true;
  await flood;
  if (!refusals.has(429)) target.complain(`no request of the flood was refused: ${[...refusals]}`);
}

async function attackTls(target: Target): Promise<void> {
  using dir = tempDir();
  const certificate = selfSigned(dir.path, "torture");
  const flags = ["--tls-cert", certificate.cert, "--tls-key", certificate.key];
  await using server = await startServer({ workers: target.workers, flags });
  const sockets: Socket[] = [];
  for (let n = 0; n < SILENT_SOCKETS; n++) {
    const socket = connect({ port: server.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    const kinds = ["", "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", randomBytes(300), HALF_HELLO];
    socket.write(kinds[n % kinds.length]!);
    sockets.push(socket);
  }
  const answered = await fetch(`${server.url}/live`, { tls: { rejectUnauthorized: false } });
  if (answered.status !== 200) target.complain(`a client beside them was answered ${answered.status}`);
  const plain = await fetch(`http://127.0.0.1:${server.port}/live`).catch(() => null);
  if (plain?.ok === true) target.complain("plain HTTP was answered at a port with TLS");
  for (const socket of sockets) socket.destroy();
  if (/Unexpected:|\[CRITICAL\]/.test(server.log()))
    target.complain(`the log says: ${server.log().slice(-500)}`);
}

/** The head of a record of TLS that announces more than comes. */
const HALF_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);

async function backUpBesideKills(target: Target): Promise<void> {
  using dir = tempDir();
  const ending = ENDINGS[target.engine]!;
  const dbFile = join(dir.path, `live${ending}`);
  const to = join(dir.path, "backups");
  mkdirSync(to);
  await using server = await startServer({ dbFile, workers: target.workers });
  const saves = saveNumbered(server, CLIENTS);
  for (let kill = 0; kill < KILLS; kill++) {
    const before = saves.answered();
    await waitUntil("saves are answered", () => saves.answered() > before + CLIENTS);
    const taking = runCli(["backup", "--db-file", dbFile, "--to", to, "--json"]);
    await Bun.sleep(target.random() * 500);
    for (const pid of childrenOf(server.pid).filter((child) => roleOf(child) === "hub"))
      process.kill(pid, "SIGKILL");
    const { code, stdout, stderr } = await taking;
    // What a hub that was killed leaves behind is a file that is opened anew: it may be told so.
    if (code !== 0) target.complain(`backup ended with ${code}: ${stderr}`);
    else
      await compareRestored(target, {
        to,
        restored: join(dir.path, `restored-${kill}${ending}`),
        stdout,
        saves,
      });
  }
  const stored = await saves.stop();
  const found = await storedNumbers(server, CLIENTS);
  found.forEach((count, client) => {
    if (count < stored[client]!) target.complain(`${count} of ${stored[client]} trades are left`);
  });
}

async function compareRestored(
  target: Target,
  of: { to: string; restored: string; stdout: string; saves: ReturnType<typeof saveNumbered> },
): Promise<void> {
  const { taken_at } = JSON.parse(of.stdout) as { taken_at: string };
  const outcome = await runCli(["restore", "--from", of.to, "--db-file", of.restored, "--at", taken_at]);
  if (outcome.code !== 0) return target.complain(`restore ended with ${outcome.code}: ${outcome.stderr}`);
  await using copy = await startServer({ dbFile: of.restored });
  const found = await storedNumbers(copy, CLIENTS);
  for (const [client, count] of of.saves.answeredBy(Date.parse(taken_at)).entries())
    if (found[client]! < count)
      target.complain(`restored: ${found[client]} trades of client ${client}, ${count} were answered before`);
}
