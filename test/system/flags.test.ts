/** What the command line says when it is asked, and when it is wrong. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { failingStart } from "../support/failing-start.ts";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const SECRET = "hunter2-and-more";

test("a wrong flag, value or variable is one line and exit code 2", async () => {
  const wrong: [args: string[], ...mentioned: string[]][] = [
    [["--port", "eighty"], "--port", "eighty"],
    [["--port", "70000"], "--port", "70000"],
    [["--workers", "-1"], "--workers", "-1"],
    [["--heartbeat-interval", "0"], "--heartbeat-interval"],
    [["--durability", "fully"], "--durability", "fully", "normal"],
    [["--log-level", "debug2"], "--log-level", "DEBUG"],
    [["--max-body-mb"], "--max-body-mb"],
    [["--prot", "80"], "--prot", "--port"],
    [["serv"], "serv"],
  ];
  for (const [args, ...mentioned] of wrong) {
    const { code, stdout, stderr } = await runCli(args);
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
    for (const part of mentioned) expect(stderr).toContain(part);
  }
});

test("--help, --version and --print-config answer and start nothing", async () => {
  const help = await runCli(["--help"]);
  expect(help.code).toBe(0);
  for (const flag of ["--db-file", "--workers", "--sample", "--liveness-timeout"])
    expect(help.stdout).toContain(flag);
  expect(await runCli(["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
  const config = await runCli(["--print-config", "--port", "9999"]);
  expect(config.code).toBe(0);
  expect(config.stdout).toMatch(/port.*9999/);
});

test("a password in a connection string is shown nowhere", async () => {
  const url = `questdb://desk:${SECRET}@db.example/prices?password=${SECRET}`;
  const config = await runCli(["--print-config", "--db-file", url]);
  const start = await failingStart(["--db-file", url, "--port", "0"]);
  const misplaced = await failingStart([url]);
  expect(start.code).not.toBe(0);
  expect(start.output).toMatch(/sqlite/i);
  for (const text of [config.stdout + config.stderr, start.output, misplaced.output]) {
    expect(text).toContain("db.example");
    expect(text).not.toContain(SECRET);
  }
});

test("a flag beats the environment, which beats the default", async () => {
  await using server = await startServer({
    flags: ["--max-body-mb", "1"],
    env: { STOCK_DB_MAX_BODY_MB: "7", STOCK_DB_DB_POOL_SIZE: "3" },
  });
  expect((await get(`${server.url}/stats/pool`)).body).toMatchObject({
    pool_enabled: true,
    pool_max_size: 3,
  });
  const large = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: " ".repeat(1024 * 1024 + 1),
  });
  expect(large.status).toBe(413);
});
