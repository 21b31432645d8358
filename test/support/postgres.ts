/**
 * A real PostgreSQL for a test file, on a port of its own, with a fresh schema or database for each
 * test. POSTGRES_BIN names the folder of another version, POSTGRES_URL a database that runs
 * already, for the tests that neither stop nor start it: the conformance suite.
 */
import { afterAll, beforeAll } from "bun:test";
import { SQL, type Subprocess } from "bun";
import { freePort } from "./free-port.ts";

/** initdb takes a second, or many when the machine is busy. */
const START_TIMEOUT_MS = 180_000;
/** Older ones have no other way than copying files. */
const STRATEGIES_SINCE = 15_00_00;

/** In place of a setting: all others have the same system identifier, as copies of one folder. */
export const OWN_CLUSTER = "own-cluster";

export interface TestPostgres {
  readonly port: number;
  /** For the test's own statements, as another program would send them. */
  readonly admin: SQL;
  /** Connection string with a schema of its own, which is empty. */
  freshSchema(): Promise<string>;
  /** Connection string of a database of its own behind PgBouncer, which takes no search_path. */
  freshDatabaseBehindPgBouncer(): Promise<string>;
  url(parameters?: string): string;
  start(): Promise<void>;
  /**
   * A streaming copy of it, which takes no writes until `pg_promote()`; it is stopped and started
   * for that.
   *
   * @returns its port.
   */
  startStandby(): Promise<number>;
  crashStandby(port: number): Promise<void>;
  restartStandby(port: number): Promise<void>;
  freezeStandby(port: number): Promise<void>;
  thawStandby(port: number): Promise<void>;
  /** In good order: clients are told. */
  stop(): Promise<void>;
  /** Without any: what was not on disk is gone. */
  crash(): Promise<void>;
  /** Every process of it stands still, and its connections stay open. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** @param url as `freshSchema` gives it. */
export function schemaOf(url: string): string {
  return new URL(url).searchParams.get("search_path")!;
}

/**
 * Started before the first test of the file, and gone after the last.
 *
 * @param settings such as "max_connections=5", or OWN_CLUSTER
 */
export function usePostgres(...settings: string[]): TestPostgres {
  const external = process.env.POSTGRES_URL;
  let running: RunningPostgres | null = null;
  const current = (): RunningPostgres => {
    if (running === null) throw new Error("PostgreSQL runs only within tests");
    return running;
  };
  beforeAll(async () => {
    running = external === undefined ? await startPostgres(settings) : attachPostgres(external);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
  }, START_TIMEOUT_MS);
  let schemas = 0;
  let bouncerPort: Promise<number> | null = null;
  return {
    get port() {
      return current().port;
    },
    get admin() {
      return current().admin;
    },
    async freshSchema() {
      const name =
        external === undefined ? `test_${++schemas}` : `test_${Date.now()}_${process.pid}_${++schemas}`;
      await current().admin.unsafe(`CREATE SCHEMA ${name}`);
      return this.url(`search_path=${name}`);
    },
    async freshDatabaseBehindPgBouncer() {
      bouncerPort ??= startPgBouncer(current());
      const name = `test_${++schemas}`;
      const { admin } = current();
      const [server] = await admin.unsafe<{ version: number }[]>(
        "SELECT current_setting('server_version_num')::int AS version",
      );
      const strategy = server!.version >= STRATEGIES_SINCE ? "STRATEGY file_copy" : "";
      await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE template0 ${strategy}`);
      return `postgresql://postgres@127.0.0.1:${await bouncerPort}/${name}`;
    },
    url(parameters = "") {
      const base = external ?? `postgresql://postgres@127.0.0.1:${current().port}/postgres`;
      return parameters === "" ? base : `${base}?${parameters}`;
    },
    async startStandby() {
      const port = await freePort();
      await current().tell(`standby ${port}`);
      return port;
    },
    crashStandby: (port) => current().tell(`crash-standby ${port}`),
    restartStandby: (port) => current().tell(`restart-standby ${port}`),
    freezeStandby: (port) => current().tell(`freeze-standby ${port}`),
    thawStandby: (port) => current().tell(`thaw-standby ${port}`),
    start: () => current().tell("start"),
    stop: () => current().tell("stop"),
    crash: () => current().tell("crash"),
    freeze: () => current().tell("freeze"),
    thaw: () => current().tell("thaw"),
  };
}

interface RunningPostgres extends AsyncDisposable {
  port: number;
  admin: SQL;
  tell(command: string): Promise<void>;
}

async function startPostgres(settings: string[]): Promise<RunningPostgres> {
  const port = await freePort();
  const keeper: Subprocess<"pipe", "pipe", "inherit"> = Bun.spawn(
    [process.execPath, `${import.meta.dir}/postgres-process.ts`, String(port), ...settings],
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  const answers = linesOf(keeper.stdout);
  const expectLine = async (expected: string): Promise<void> => {
    const { value } = await answers.next();
    if (value !== expected) throw new Error(`PostgreSQL's keeper: expected ${expected}, got ${value}`);
  };
  await expectLine("ready");
  const admin = new SQL(`postgresql://postgres@127.0.0.1:${port}/postgres`, { max: 2 });
  return {
    port,
    admin,
    async tell(command) {
      keeper.stdin.write(`${command}\n`);
      keeper.stdin.flush();
      await expectLine("ok");
    },
    async [Symbol.asyncDispose]() {
      await admin.close({ timeout: 0 });
      keeper.stdin.end();
      await keeper.exited;
    },
  };
}

function attachPostgres(url: string): RunningPostgres {
  const admin = new SQL(url, { max: 2 });
  return {
    port: Number(new URL(url).port),
    admin,
    async tell(command) {
      throw new Error(`${command}: the database that POSTGRES_URL names runs by itself`);
    },
    [Symbol.asyncDispose]: () => admin.close({ timeout: 0 }),
  };
}

export const hasPgBouncer = Bun.which("pgbouncer", { PATH: `${process.env.PATH}:/usr/sbin` }) !== null;

/** @returns its port, once it listens. */
async function startPgBouncer(postgres: RunningPostgres): Promise<number> {
  const port = await freePort();
  await postgres.tell(`pgbouncer ${port}`);
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.end();
      return port;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(20);
    }
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
