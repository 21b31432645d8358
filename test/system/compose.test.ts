/** What deploy/compose/compose.yaml describes, over a real PostgreSQL and NATS. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { $ } from "bun";
import { freePort } from "../support/free-port.ts";
import { NATS_SERVER, startNatsServer } from "../support/nats-server.ts";
import { usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const PROJECT = join(import.meta.dir, "../..");
const FOLDER = join(PROJECT, "deploy/compose");

interface Service {
  command: string[];
  environment: Record<string, string>;
  secrets: string[];
  ports?: string[];
}

interface Compose {
  services: Record<"server-a" | "server-b" | "database" | "bus", Service>;
  secrets: Record<string, { file: string }>;
}

interface BusStat {
  bus: { connected: boolean; received: number };
}

const compose = Bun.YAML.parse(readFileSync(join(FOLDER, "compose.yaml"), "utf8")) as Compose;
const postgres = usePostgres();

test("secrets.sh makes each file that compose.yaml names, and never a second time", async () => {
  using dir = tempDir();
  copyFileSync(join(FOLDER, "secrets.sh"), join(dir.path, "secrets.sh"));
  expect((await $`sh secrets.sh`.cwd(dir.path).nothrow().quiet()).exitCode).toBe(0);
  expect(statSync(join(dir.path, "secrets")).mode & 0o777).toBe(0o700);
  const named = Object.values(compose.secrets).map(({ file }) => file);
  const made = [...new Bun.Glob("secrets/*").scanSync(dir.path)].map((path) => `./${path}`);
  expect(made.sort()).toEqual(named.sort());
  const password = readFileSync(join(dir.path, "secrets/database_password"), "utf8");
  expect(password).toMatch(/^[0-9a-f]{48}$/);
  const again = await $`sh secrets.sh`.cwd(dir.path).nothrow().quiet();
  expect(again.exitCode).toBe(1);
  expect(readFileSync(join(dir.path, "secrets/database_password"), "utf8")).toBe(password);
});

test("no service has a secret in its environment, and each mounts those that it names", () => {
  for (const [name, service] of Object.entries(compose.services)) {
    const text = JSON.stringify([service.environment ?? {}, service.command ?? []]);
    expect(text).not.toMatch(/password"?:"(?!\/run)|:\/\/[^"]*@/i);
    const named = [...text.matchAll(/\/run\/secrets\/([\w.]+)/g)].map(([, secret]) => secret!);
    expect([name, service.secrets.toSorted()]).toEqual([name, named.toSorted()]);
    for (const port of service.ports ?? []) expect(port).toStartWith("127.0.0.1:");
  }
});

if (NATS_SERVER === null) console.log("compose.test.ts: two servers are skipped: there is no nats-server");

test.skipIf(NATS_SERVER === null)(
  "both servers want a key; what one saves, subscribers of the other are told over the bus",
  async () => {
    using dir = tempDir();
    cpSync(join(FOLDER, "secrets.sh"), join(dir.path, "secrets.sh"));
    await $`sh secrets.sh`.cwd(dir.path).quiet();
    mkdirSync(join(dir.path, "data"));
    const secret = (name: string) => join(dir.path, "secrets", name);
    const read = (name: string) => readFileSync(secret(name), "utf8");
    const { user, db } = { user: "POSTGRES_USER", db: "POSTGRES_DB" };
    const { environment } = compose.services.database;
    await postgres.admin.unsafe(
      `CREATE ROLE ${environment[user]} LOGIN PASSWORD '${read("database_password")}'`,
    );
    await postgres.admin.unsafe(`CREATE DATABASE ${environment[db]} OWNER ${environment[user]}`);
    const token = /authorization .*/.exec(read("nats.conf"))![0];
    await using bus = await startNatsServer(token);
    const url = read("database_url").replace("database:5432", `127.0.0.1:${postgres.port}`);
    await $`chmod u+w ${secret("database_url")} ${secret("bus_url")}`;
    writeFileSync(secret("database_url"), url);
    writeFileSync(secret("bus_url"), read("bus_url").replace("bus:4222", `127.0.0.1:${bus.port}`));

    const keys = join(dir.path, "data/keys.json");
    const added = await runCli(["keys", "add", "desk", "--may", "admin", "--keys", keys, "--json"]);
    const { key } = JSON.parse(added.stdout) as { key: string };
    await using a = await startService(compose.services["server-a"], dir.path);
    await using b = await startService(compose.services["server-b"], dir.path);
    const save = (headers: Record<string, string>) =>
      fetch(`${a.url}/v1/trades`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify([{ symbol: "A", timestamp: "2024-01-02T15:00:00Z", price: 1, size: 1 }]),
      });
    expect((await save({})).status).toBe(401);
    const headers = { authorization: `Bearer ${key}` };
    const frames: string[] = [];
    const socket = new WebSocket(`${b.url.replace("http", "ws")}/ws?symbol=A`, { headers });
    socket.onmessage = ({ data }) => frames.push(String(data));
    await waitUntil("the socket is open", () => frames.length > 0);
    expect((await save(headers)).status).toBe(200);
    await waitUntil("the update has come", () => frames.some((frame) => frame.includes('"price":1')));
    socket.close();
    await waitUntil("it has come over the bus", async () => {
      const figures = (await (await fetch(`${b.url}/stats/redis`, { headers })).json()) as BusStat;
      return figures.bus.connected && figures.bus.received === 1;
    });
  },
);

/** As the image runs it, but on another port, and with the files of the folder in their places. */
async function startService({ command, environment }: Service, folder: string) {
  const port = await freePort();
  const inFolder = (value: string): string =>
    value.replace(/^\/(?:run\/)?(?=secrets\/|data\/)/, `${folder}/`);
  const env = Object.entries(environment).map(([name, value]) => [name, inFolder(value)]);
  const main = join(PROJECT, "src/main.ts");
  const child = Bun.spawn([process.execPath, "--no-orphans", main, ...command], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      STOCK_DB_HOST: "0.0.0.0",
      STOCK_DB_PORT: String(port),
      ...Object.fromEntries(env),
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntil("the server is ready", async () => (await fetch(`${url}/ready`)).ok);
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    },
  };
}
