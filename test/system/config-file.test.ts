/** A server that is started from a file of settings. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(60_000);

test("it serves with them, with all its workers, and config check says so before", async () => {
  using dir = tempDir();
  const path = join(dir.path, "stocks.toml");
  writeFileSync(path, 'workers = 2\nsql = "off"\naccess-log = "on"\n');
  const checked = await runCli(["config", "check", "--config", path]);
  expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining("3 of them given")]);
  await using server = await startServer({ flags: ["--config", path] });
  await server.logged("Worker 1: Server starting");
  const { status, body } = await get(`${server.url}/v1/sql?sql=SELECT+1`);
  expect([status, body.error]).toEqual([403, expect.stringContaining("--sql off")]);
});

test("config check finds what would end a start", async () => {
  using dir = tempDir();
  const path = join(dir.path, "stocks.toml");
  const said = async (text: string): Promise<[number, string]> => {
    writeFileSync(path, text);
    const { code, stderr } = await runCli([
      "config",
      "check",
      "--config",
      path,
      "--db-file",
      join(dir.path, "a.db"),
    ]);
    return [code, stderr];
  };
  expect(await said('host = "0.0.0.0"')).toEqual([1, expect.stringContaining("--insecure-no-auth")]);
  expect(await said('tls-cert = "/nowhere.crt"')).toEqual([1, expect.stringContaining("--tls-key")]);
  expect(await said("workers = 1000")).toEqual([
    2,
    expect.stringContaining("workers: expected a whole number"),
  ]);
});
