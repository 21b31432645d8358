/** Clients that send or read next to nothing, and stay. */
import { connect, type Socket } from "node:net";
import type { RawWebSocket } from "../../test/support/raw-web-socket.ts";
import { type Attack, all, expectStatus, type Target } from "../attack.ts";
import { openAttackSocket } from "../attack-socket.ts";

const SLOW_READERS = 20;
const SLOWLORIS = 200;
/**
 * What another client's statement may take meanwhile: anything but a queue behind the slow ones.
 */
const ANSWER_MS = 10_000;
/** Another than that of the other clients: addresses take turns. */
const ADDRESS = "127.0.0.3";
const POLICIES = ["disconnect", "conflate", "gap"];
const SILENT_EACH = 20;
const TICKS_A_SAVE = 3_000;

const LARGE: Record<Target["engine"], string> = {
  sqlite: "SELECT a.*, b.date AS d2 FROM daily_prices a, daily_prices b LIMIT 100000",
  duckdb: "SELECT a.*, b.date AS d2 FROM daily_prices a, daily_prices b LIMIT 100000",
  postgres: "SELECT a.*, b.date AS d2 FROM daily_prices a, daily_prices b LIMIT 100000",
};

export const SLOW_CLIENTS: readonly Attack[] = [
  {
    name: "slow-sql-readers",
    about: "twenty clients take large answers of SQL a few bytes at a time; another asks SELECT 1",
    async run(target) {
      const path = `/api/execute_sql?sql=${encodeURIComponent(LARGE[target.engine])}`;
      await readSlowly(target, path, async () => {
        const startedAt = performance.now();
        const answer = await target.get("/api/execute_sql?sql=SELECT%201%20AS%20one");
        expectStatus(target, "SELECT 1 beside slow readers", answer, [200]);
        const ms = performance.now() - startedAt;
        if (ms > ANSWER_MS) target.complain(`SELECT 1 beside slow readers took ${Math.round(ms)} ms`);
      });
    },
  },
  {
    name: "slow-row-readers",
    about: "twenty clients take large answers of stored ticks a few bytes at a time; another reads as many",
    async run(target) {
      await fillTicks(target, "SLOWROWS", 30);
      const params = { ticker: "SLOWROWS", data_type: "trade" };
      const body = JSON.stringify({ command: "get_realtime_data", params });
      await readSlowly(target, body, async () => {
        const startedAt = performance.now();
        const answer = await target.post(body);
        expectStatus(target, "a large read beside slow readers", answer, [200]);
        const ms = performance.now() - startedAt;
        if (ms > ANSWER_MS) target.complain(`a large read beside slow readers took ${Math.round(ms)} ms`);
      });
    },
  },
  {
    name: "slow-requests",
    about: `${SLOWLORIS} connections send a header or a body a byte at a time`,
    async run(target) {
      const heads = [
        "GET /live HTTP/1.1\r\nHost: localhost\r\nX: ",
        "POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{",
      ];
      const sockets = Array.from({ length: SLOWLORIS }, (_, i) => openSilent(target.port, heads[i % 2]!));
      const deadline = performance.now() + target.seconds * 1_000;
      while (performance.now() < deadline) {
        await Bun.sleep(500);
        for (const socket of sockets) if (!socket.destroyed) socket.write("a");
      }
      for (const socket of sockets) socket.destroy();
    },
  },
  {
    name: "silent-connections",
    about: "a thousand connections that never say a word",
    async run(target) {
      const sockets = Array.from({ length: 1_000 }, () => openSilent(target.port, ""));
      await Bun.sleep(target.seconds * 1_000);
      for (const socket of sockets) socket.destroy();
    },
  },
  {
    name: "slow-subscribers",
    about: "sixty subscribers never read, whatever they chose for that, while much is saved",
    async run(target) {
      const clients: RawWebSocket[] = [];
      for (const policy of POLICIES)
        for (let i = 0; i < SILENT_EACH; i++)
          clients.push(await openAttackSocket(target.port, `/ws?symbol=SLOWSUB&slow=${policy}`));
      for (const client of clients) client.stopReading();
      await fillTicks(target, "SLOWSUB", 20);
      await Bun.sleep(target.seconds * 500);
      for (const client of clients) client[Symbol.dispose]();
    },
  },
];

/** @param ask a path for GET, or a body for a command. */
async function readSlowly(target: Target, ask: string, meanwhile: () => Promise<void>): Promise<void> {
  const head = ask.startsWith("/")
    ? `GET ${ask} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    : `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${ask.length}\r\n\r\n${ask}`;
  const sockets = Array.from({ length: SLOW_READERS }, () => openSilent(target.port, head));
  for (const socket of sockets) socket.pause();
  await Bun.sleep(1_500);
  const deadline = performance.now() + target.seconds * 1_000;
  do {
    for (const socket of sockets) socket.read(1_000);
    await meanwhile();
    await Bun.sleep(250);
  } while (performance.now() < deadline);
  for (const socket of sockets) socket.destroy();
}

function openSilent(port: number, head: string): Socket {
  // Reads no more than it is told to.
  const socket = connect({ port, host: "127.0.0.1", localAddress: ADDRESS });
  socket.on("error", () => undefined);
  if (head !== "") socket.write(head);
  return socket;
}

async function fillTicks(target: Target, ticker: string, saves: number): Promise<void> {
  for (let from = 0; from < saves; from += 4) {
    await all(
      Array.from({ length: Math.min(4, saves - from) }, async (_, i) => {
        const begin = 1_700_000_000_000_000 + (from + i) * TICKS_A_SAVE;
        const data = Array.from({ length: TICKS_A_SAVE }, (_, n) => ({
          timestamp: begin + n,
          price: 1,
          size: 1,
        }));
        const params = { ticker, data_type: "trade", index_col: "timestamp", data };
        expectStatus(
          target,
          `a save of ${ticker}`,
          await target.command("save_realtime_data", params),
          [200],
        );
      }),
    );
  }
}
