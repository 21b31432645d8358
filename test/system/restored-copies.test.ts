/**
 * A database file that was put back, copied or moved while no server had it: what clients that come
 * back are told.
 */
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(240_000);

const NEW_EPOCH = "a new epoch of positions begins";
const ENGINES = [
  { name: "sqlite", file: "live.db", logs: ["-wal", "-shm"] },
  { name: "duckdb", file: "live.duckdb", logs: [".wal"] },
];

let prices = 0;

interface Kept {
  epoch: string;
  seq: number;
}

interface Updates {
  epoch: string;
  recovered: boolean;
  code?: string;
  updates: { seq: number }[];
}

async function save(server: RunningServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const price = ++prices;
    const timestamp = `2024-01-02T10:00:00.${String(price).padStart(6, "0")}Z`;
    const data = [{ timestamp, price, size: 1 }];
    const params = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
    expect((await server.command("save_realtime_data", params)).status).toBe(200);
  }
}

async function kept(server: RunningServer): Promise<Kept> {
  const { body } = await server.command<{ epoch: string; positions: Record<string, number> }>(
    "get_positions",
    {},
  );
  return { epoch: body.epoch, seq: body.positions.A ?? 0 };
}

/** What a client gets that comes back to where it was. */
async function comeBack(server: RunningServer, { epoch, seq }: Kept): Promise<Updates> {
  const { status, body } = await server.command<Updates>("get_updates", { ticker: "A", since: seq, epoch });
  expect(status).toBe(200);
  return body;
}

interface Recovery {
  data: { type: string; recovered: boolean; code?: string; snapshot?: { trade: unknown } };
}

/** The same over WebSocket: its frame of type recovery. */
async function subscribeAgain(server: RunningServer, { epoch, seq }: Kept): Promise<Recovery["data"]> {
  await using client = Subscriber.ask(server.wsUrl, { symbol: "A", since: String(seq), epoch });
  const told = () => client.ofType("recovery")[0]?.data;
  await waitUntil("it is told", () => told() !== undefined || client.closed !== null);
  if (told() === undefined) throw new Error("closed before it was told");
  return told();
}

async function expectNewEpoch(server: RunningServer, before: Kept, reason: RegExp | string): Promise<void> {
  await server.logged(NEW_EPOCH);
  expect(server.log()).toMatch(reason);
  expect((await kept(server)).epoch).not.toBe(before.epoch);
  // As many saves as were lost, and one more: the positions that the client knows are given again.
  await save(server, 4);
  expect(await comeBack(server, before)).toMatchObject({
    recovered: false,
    code: "epoch_changed",
    updates: [],
  });
  expect(await subscribeAgain(server, before)).toMatchObject({
    recovered: false,
    code: "epoch_changed",
    snapshot: { trade: expect.anything() },
  });
}

async function expectSameEpoch(server: RunningServer, before: Kept): Promise<void> {
  expect(await kept(server)).toEqual(before);
  await save(server, 2);
  const back = await comeBack(server, before);
  expect(back).toMatchObject({ recovered: true, epoch: before.epoch });
  expect(back.updates.map(({ seq }) => seq)).toEqual([before.seq + 1, before.seq + 2]);
  expect(server.log()).not.toContain(NEW_EPOCH);
}

/** Serves the file while `body` runs, and says where its clients are at the end. */
async function served(
  dbFile: string,
  body: (server: RunningServer) => Promise<void>,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<Kept> {
  await using server = await startServer({ dbFile });
  await body(server);
  const end = await kept(server);
  await server.stop(signal);
  return end;
}

/** As `served`, to its end without a last word, also of the hub, as when the power fails. */
async function cutOff(dbFile: string, body: (server: RunningServer) => Promise<void>): Promise<Kept> {
  await using server = await startServer({ dbFile });
  await body(server);
  const end = await kept(server);
  // Not with the others: a supervisor would begin another hub.
  process.kill(server.pid, "SIGSTOP");
  process.kill(processesOf(server).hub, "SIGKILL");
  await server.stop("SIGKILL");
  return end;
}

for (const { name, file, logs } of ENGINES) {
  describe(name, () => {
    const removeLogs = (dbFile: string): void => {
      for (const log of logs) rmSync(dbFile + log, { force: true });
    };

    test("restarts and kills keep the epoch, and what was given", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      let before = await served(dbFile, (server) => save(server, 3));
      for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL", "SIGKILL"] as const)
        before = await served(dbFile, (server) => expectSameEpoch(server, before), signal);
      expect(statSync(`${dbFile}.epoch`).mode & 0o777).toBe(0o600);
    });

    test("workers and a hub that are killed keep it too", async () => {
      using dir = tempDir();
      await using server = await startServer({ dbFile: join(dir.path, file), workers: 2 });
      await save(server, 3);
      const before = await kept(server);
      const { hub, workers } = processesOf(server);
      for (const pid of [hub, ...workers]) process.kill(pid, "SIGKILL");
      await waitUntil("others have taken their place", async () => {
        const now = processesOf(server);
        return (
          now.hub !== 0 &&
          now.hub !== hub &&
          (await fetch(`${server.url}/ready`).catch(() => null))?.ok === true
        );
      });
      await save(server, 2);
      const back = await comeBack(server, before);
      expect(back).toMatchObject({ recovered: true, epoch: before.epoch });
    });

    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      test(`put back in place after ${signal}: the old positions mean nothing`, async () => {
        using dir = tempDir();
        const dbFile = join(dir.path, file);
        const backup = join(dir.path, "backup");
        await served(dbFile, (server) => save(server, 3));
        copyFileSync(dbFile, backup);
        const before = await served(dbFile, (server) => save(server, 3), signal);
        removeLogs(dbFile);
        const { ino } = statSync(dbFile);
        copyFileSync(backup, dbFile);
        expect(statSync(dbFile).ino).toBe(ino);
        const after = await served(dbFile, (server) =>
          expectNewEpoch(server, before, /fewer updates than were given/),
        );
        await served(dbFile, (server) => expectSameEpoch(server, after));
      });
    }

    test("put back beside the write-ahead log of the file before, which the engine would mix into it", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      const backup = join(dir.path, "backup");
      await served(dbFile, (server) => save(server, 3));
      copyFileSync(dbFile, backup);
      await served(dbFile, (server) => save(server, 3));
      const before = await cutOff(dbFile, (server) => save(server, 3));
      expect(existsSync(dbFile + logs[0])).toBe(true);
      copyFileSync(backup, dbFile);
      await served(dbFile, async (server) => {
        expect((await kept(server)).seq).toBe(3);
        await expectNewEpoch(
          server,
          before,
          /fewer updates than were given.*wal belongs to the file that was there/,
        );
        const trades = await server.command<{ data: unknown[] }>("get_realtime_data", {
          ticker: "A",
          data_type: "trade",
        });
        expect(trades.body.data).toHaveLength(3 + 4);
      });
      expect(readdirSync(dir.path).filter((name) => name.includes("wal.foreign-"))).toHaveLength(1);
    });

    test("the whole folder put back in place, with the file that should tell", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      const names = [file, `${file}.epoch`];
      await served(dbFile, (server) => save(server, 3));
      mkdirSync(join(dir.path, "backup"));
      for (const name of names) copyFileSync(join(dir.path, name), join(dir.path, "backup", name));
      const before = await served(dbFile, (server) => save(server, 3));
      await Bun.sleep(1_500); // a backup is older than a moment
      for (const name of names) copyFileSync(join(dir.path, "backup", name), join(dir.path, name));
      await served(dbFile, (server) => expectNewEpoch(server, before, /not written by a server last/));
    });

    test("put back by a move, though nothing was saved since", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      const before = await served(dbFile, (server) => save(server, 3));
      copyFileSync(dbFile, join(dir.path, "backup"));
      renameSync(join(dir.path, "backup"), dbFile);
      await served(dbFile, (server) => expectNewEpoch(server, before, /not the one that was served last/));
    });

    test("copied to another place, with and without the file beside it; the original goes on", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      const before = await served(dbFile, (server) => save(server, 3));
      for (const [place, reason] of [
        ["alone", /there is no .*\.epoch/],
        ["together", /not the one that was served last/],
      ] as const) {
        mkdirSync(join(dir.path, place));
        const copy = join(dir.path, place, file);
        copyFileSync(dbFile, copy);
        if (place === "together") copyFileSync(`${dbFile}.epoch`, `${copy}.epoch`);
        await served(copy, (server) => expectNewEpoch(server, before, reason));
      }
      await served(dbFile, (server) => expectSameEpoch(server, before));
    });

    test("moved with the file beside it, it is the same", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      const before = await served(dbFile, (server) => save(server, 3));
      const moved = join(dir.path, `moved-${file}`);
      renameSync(dbFile, moved);
      renameSync(`${dbFile}.epoch`, `${moved}.epoch`);
      await served(moved, (server) => expectSameEpoch(server, before));
    });

    test("a copy that was served elsewhere, got more updates than the original, and comes back", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      await served(dbFile, (server) => save(server, 3));
      const copy = join(dir.path, `copy-${file}`);
      copyFileSync(dbFile, copy);
      const before = await served(dbFile, (server) => save(server, 3));
      const elsewhere = await served(copy, (server) => save(server, 20));
      copyFileSync(copy, dbFile);
      await served(dbFile, async (server) => {
        await expectNewEpoch(server, before, /of another epoch/);
        expect(await comeBack(server, elsewhere)).toMatchObject({ recovered: false });
      });
    });

    test("doctor --new-epoch begins one, but not under a running server", async () => {
      using dir = tempDir();
      const dbFile = join(dir.path, file);
      let before: Kept = { epoch: "", seq: 0 };
      await served(dbFile, async (server) => {
        await save(server, 3);
        before = await kept(server);
        const refused = await runCli(["doctor", "--new-epoch", "--db-file", dbFile]);
        expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("stop it first")]);
        expect(await kept(server)).toEqual(before);
      });
      const done = await runCli(["doctor", "--new-epoch", "--db-file", dbFile]);
      expect([done.code, done.stdout]).toEqual([0, expect.stringContaining("new epoch")]);
      await served(dbFile, async (server) => {
        const now = await kept(server);
        expect(now.epoch).not.toBe(before.epoch);
        expect(now.seq).toBe(3);
        expect(done.stdout).toContain(now.epoch);
        expect(await comeBack(server, before)).toMatchObject({ recovered: false, code: "epoch_changed" });
        expect(server.log()).not.toContain(NEW_EPOCH);
      });
    });
  });
}

describe("sqlite alone", () => {
  test("a backup made while the server runs, put back later", async () => {
    using dir = tempDir();
    const dbFile = join(dir.path, "live.db");
    const backup = join(dir.path, "backup.db");
    const before = await served(dbFile, async (server) => {
      await save(server, 3);
      using db = new Database(dbFile, { readonly: true });
      db.run("VACUUM INTO ?", [backup]);
      await save(server, 3);
    });
    copyFileSync(backup, dbFile);
    await served(dbFile, (server) => expectNewEpoch(server, before, /fewer updates than were given/));
  });
});
