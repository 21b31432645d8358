/** Attacks that leave a server in a state of its own: each has a server for itself. */

import { Database } from "bun:sqlite";
import { truncateSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { readProc } from "../../test/support/processes.ts";
import { command, get } from "../../test/support/requests.ts";
import { waitUntil } from "../../test/support/server.ts";
import { childrenOf, roleOf } from "../../test/support/server-processes.ts";
import { type Attack, expectStatus, type Target } from "../attack.ts";
import { openAttackSocket } from "../attack-socket.ts";

const NOTICE_MS = 30_000;
const LIVENESS_S = 3;
const DESCRIPTORS = 128;
const CPU_MS = 3_000;
/** A spinning process takes all of its time. */
const CPU_SHARE_MAX = 0.5;
const CLOCK_TICKS_S = 100;

export const OWN_SERVERS: readonly Attack[] = [
  {
    name: "truncated-database",
    about: "the database file is emptied while the server runs: no save may be called saved after that",
    engines: ["sqlite"],
    ownServer: {},
    expects: [/./],
    async run(target) {
      expectStatus(target, "a save before", await save(target, "BEFORE"), [200]);
      truncateSync(target.server.dbFile, 0);
      const answer = await save(target, "AFTER").catch(() => null);
      if (answer?.status === 200) target.complain(`a save into an emptied file was answered ${answer.text}`);
      await waitUntil(
        "the loss is told",
        async () => (await get(`${target.url}/ready`).catch(() => ({ status: 0 }))).status !== 200,
        NOTICE_MS,
      );
    },
  },
  {
    name: "hanging-writer",
    about: "another program puts a trigger without end into the database; a save runs into it",
    engines: ["sqlite"],
    ownServer: { flags: ["--liveness-timeout", String(LIVENESS_S), "--sql-timeout", "3"] },
    expects: [/./],
    async run(target) {
      using other = new Database(target.server.dbFile);
      other.exec("PRAGMA busy_timeout = 5000; CREATE TABLE junk (n)");
      other.exec(
        `CREATE TRIGGER endless AFTER INSERT ON realtime_data WHEN NEW.ticker = 'EVIL' BEGIN INSERT INTO junk
         SELECT count(*) FROM (WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT x FROM t); END`,
      );
      const evil = save(target, "EVIL").catch(() => null);
      await Bun.sleep(500);
      const good = save(target, "GOOD").catch(() => null);
      await waitUntil(
        "a writer that doesn't come back is told",
        async () => (await get(`${target.url}/ready`)).status === 503,
        NOTICE_MS,
      ).catch((error: Error) => target.complain(error.message));
      const [badAnswer, goodAnswer] = await Promise.all([evil, good]);
      if (badAnswer?.status === 200) target.complain("the save that never ends was answered 200");
      if (goodAnswer === null) target.complain("another save had no answer");
      await waitUntil(
        "saves work again",
        async () => (await save(target, "GOOD")).status === 200,
        60_000,
      ).catch((error: Error) => target.complain(error.message));
    },
  },
  {
    name: "stopped-hub",
    about: "the hub stands still: it is noticed, told, and replaced; every answered save is there",
    ownServer: { flags: ["--liveness-timeout", String(LIVENESS_S)] },
    expects: [/./],
    async run(target) {
      const hub = childrenOf(target.server.pid).find((pid) => roleOf(pid) === "hub");
      if (hub === undefined) {
        // On PostgreSQL a single process saves for itself.
        if (target.engine !== "postgres") target.complain("there is no hub process");
        return;
      }
      process.kill(hub, "SIGSTOP");
      const waiting = save(target, "STOPPED");
      if (target.engine !== "postgres") {
        await waitUntil(
          "a writer that stands still is told",
          async () => (await get(`${target.url}/ready`)).status === 503,
          NOTICE_MS,
        ).catch((error: Error) => target.complain(error.message));
      }
      expectStatus(target, "the save meanwhile", await waiting, [200, 503]);
      await waitUntil("saves work again", async () => (await save(target, "STOPPED")).status === 200, 60_000);
    },
  },
  {
    name: "no-descriptors",
    about: "more connections than the process has descriptors: nobody spins, whoever is connected is served",
    ownServer: {
      launcher: (usual) => ["prlimit", `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`, ...usual],
    },
    async run(target) {
      const kept = await openKept(target.port);
      const sockets = Array.from({ length: DESCRIPTORS * 6 }, () => idle(target.port));
      await Bun.sleep(1_000);
      const before = cpuOfAll(target.server.pid);
      await Bun.sleep(CPU_MS);
      for (const [pid, ticks] of cpuOfAll(target.server.pid)) {
        const share = (ticks - (before.get(pid) ?? 0)) / CLOCK_TICKS_S / (CPU_MS / 1_000);
        if (share > CPU_SHARE_MAX)
          target.complain(`process ${pid} takes ${Math.round(share * 100)} % of a processor`);
      }
      if (!(await kept.answers())) target.complain("a client that was connected before has no answer");
      if (!/descriptor/i.test(target.server.log())) target.complain("the log says nothing of descriptors");
      for (const socket of sockets) socket.destroy();
      await waitUntil(
        "new clients are let in again",
        async () => (await get(`${target.url}/live`)).status === 200,
      );
      kept.close();
    },
  },
];

function save(target: Target, ticker: string) {
  return command(target.url, "save_realtime_data", {
    ticker,
    data_type: "trade",
    index_col: "timestamp",
    data: [{ timestamp: new Date().toISOString(), price: 1, size: 1 }],
  }).then(({ status, body, headers }) => ({ status, text: JSON.stringify(body), headers }));
}

/** User and system time so far, in ticks of the clock, by process. */
function cpuOfAll(leader: number): Map<number, number> {
  const pids = [leader, ...childrenOf(leader)];
  return new Map(
    pids.map((pid) => {
      const stat = readProc(pid, "stat");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return [pid, Number(fields[11]) + Number(fields[12])];
    }),
  );
}

function idle(port: number): Socket {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return socket;
}

/** A subscriber, which stays when connections that are idle are closed. */
async function openKept(port: number): Promise<{ answers(): Promise<boolean>; close(): void }> {
  const socket = await openAttackSocket(port, "/ws?symbol=IBM");
  return {
    async answers() {
      socket.messages.length = 0;
      return await waitUntil("a heartbeat", () => socket.texts.length > 0, 10_000).then(
        () => true,
        () => false,
      );
    },
    close: () => socket[Symbol.dispose](),
  };
}
