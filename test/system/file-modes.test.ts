/**
 * What the server makes is its user's alone, or as --file-mode says, whatever umask it was started
 * with.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../support/run-cli.ts";
import { BUN_LAUNCHER, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const OPEN_UMASK = ["sh", "-c", 'umask 000; exec "$0" "$@"', ...BUN_LAUNCHER];
const SAVE = { ticker: "A", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };

const modeOf = (path: string) => `0${(statSync(path).mode & 0o777).toString(8)}`;

/** Each file and folder below, by its path. */
function modesBelow(folder: string): Record<string, string> {
  const modes: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    modes[name] = modeOf(join(folder, name));
  return modes;
}

for (const name of ["a.db", "a.duckdb"]) {
  for (const workers of [1, 2]) {
    for (const [mode, folderMode] of [
      [null, "0700"],
      ["0640", "0750"],
      ["666", "0777"],
    ] as const) {
      test(`${name}, ${workers} workers, --file-mode ${mode ?? "left out"}`, async () => {
        using dir = tempDir();
        using runtime = tempDir();
        await using server = await startServer({
          dbFile: join(dir.path, "made/data", name),
          workers,
          launcher: OPEN_UMASK,
          env: { XDG_RUNTIME_DIR: runtime.path },
          flags: ["--log-file", join(dir.path, "made/logs/x.log"), ...(mode ? ["--file-mode", mode] : [])],
        });
        expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
        await server.command("execute_sql", { sql_query: "CREATE TABLE own (a INTEGER)", query_type: "raw" });
        const modes = modesBelow(dir.path);
        const fileMode = (mode ?? "0600").padStart(4, "0");
        expect(Object.keys(modes)).toContain(
          name === "a.db" ? "made/data/a.db-wal" : "made/data/a.duckdb.wal",
        );
        for (const [path, found] of Object.entries(modes)) {
          const isFolder = statSync(join(dir.path, path)).isDirectory();
          expect([path, found]).toEqual([path, isFolder ? folderMode : fileMode]);
        }
        const [folder = ""] = readdirSync(runtime.path);
        expect(modeOf(join(runtime.path, folder))).toBe("0700");
        for (const socket of ["hub.sock", "owner.sock", "board"])
          expect(lstatSync(join(runtime.path, folder, socket)).mode & 0o777).toBe(0o600);
        expect(server.log()).not.toContain("Open to more than");
      });
    }
  }
}

test("what was there before and is open to others is told with the command that closes it", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "a b.db");
  {
    await using server = await startServer({ dbFile });
    await server.command("save_stock_data", SAVE);
  }
  chmodSync(dbFile, 0o664);
  {
    await using server = await startServer({ dbFile, workers: 2 });
    const line = `[WARNING] - Open to more than --file-mode 0600 allows new files: ${dbFile} (0664); to close: chmod 0600 '${dbFile}'`;
    await server.logged(line);
    expect(server.log().split("Open to more than").length).toBe(2);
    expect(modeOf(dbFile)).toBe("0664");
  }
  expect((await runCli(["doctor", "--db-file", dbFile])).stdout).toContain(
    `warning file mode: others may use ${dbFile} (0664)`,
  );
  chmodSync(dbFile, 0o600);
  expect((await runCli(["doctor", "--db-file", dbFile])).stdout).toContain(
    "ok      file mode: no wider than 0600",
  );
});

test("import and copy make files of the same mode", async () => {
  using dir = tempDir();
  mkdirSync(join(dir.path, "in"));
  const csv = join(dir.path, "in/a.csv");
  writeFileSync(csv, "date,open,high,low,close,volume\n2024-01-02,1,1,1,1,1\n");
  const made = join(dir.path, "made");
  const from = join(made, "imported.db");
  expect((await runCli(["import", csv, "--ticker", "A", "--db-file", from])).code).toBe(0);
  expect((await runCli(["copy", "--from", from, "--to", join(made, "copied.duckdb")])).code).toBe(0);
  expect(modeOf(made)).toBe("0700");
  expect(existsSync(join(made, "copied.duckdb"))).toBe(true);
  for (const mode of Object.values(modesBelow(made))) expect(mode).toBe("0600");
});

test("a runtime folder that everybody may write to, without the sticky bit, is not taken", async () => {
  using open = tempDir();
  chmodSync(open.path, 0o777);
  await using server = await startServer({ workers: 2, env: { XDG_RUNTIME_DIR: open.path } });
  expect(readdirSync(open.path)).toEqual([]);
  await server.logged(`[WARNING] - The server's own sockets aren't put into ${open.path}`);
  expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
});
