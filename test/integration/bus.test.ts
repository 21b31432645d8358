import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { tryBus } from "../../src/bus/open-bus.ts";
import type { BrokerProcess } from "../support/broker-process.ts";
import { listenToBus, quoteUpdate } from "../support/bus-listener.ts";
import { NATS_SERVER, startNatsServer } from "../support/nats-server.ts";
import { PGBOUNCER, startPgBouncer } from "../support/pgbouncer.ts";
import { usePostgres } from "../support/postgres.ts";
import { REDIS_SERVER, startRedisServer } from "../support/redis-server.ts";
import { waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

for (const [name, program] of [
  ["nats-server", NATS_SERVER],
  ["redis-server", REDIS_SERVER],
  ["pgbouncer", PGBOUNCER],
]) {
  if (program === null) console.log(`bus.test.ts: some are skipped, as no ${name} is installed`);
}

/** A broker that can be dealt with in the same way, whichever it is. */
interface TestBroker {
  readonly url: string;
  readonly dbFile: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

const eventually = (what: string, condition: () => unknown): Promise<unknown> =>
  waitUntil(what, condition as () => boolean);

interface Carrier {
  skip: boolean;
  /** It carries whole updates, not only where they are. */
  frames: boolean;
  use: () => TestBroker;
}

function describeCarrier(name: string, { skip, frames, use }: Carrier): void {
  describe.skipIf(skip)(`the bus over ${name}`, () => {
    const broker = use();
    testUpdates(broker, frames);
    testOutages(broker);
    test("doctor's message goes there and comes back", async () => {
      expect(await tryBus(broker)).not.toBe("");
    });
  });
}

const listen = ({ url, dbFile }: TestBroker, channel?: string) =>
  listenToBus(url, { dbFile, ...(channel === undefined ? {} : { channel }) });

function testUpdates(broker: TestBroker, frames: boolean): void {
  const asReceived = (updates: ReturnType<typeof quoteUpdate>[]) =>
    updates.map(({ ticker, update }) => {
      return { ticker, position: update.position, update: frames ? update : null };
    });

  test("updates reach the other servers, in order and together, and don't come back", async () => {
    await using a = await listen(broker);
    await using b = await listen(broker);
    await using c = await listen(broker);
    const sent = Array.from({ length: 50 }, (_, i) => quoteUpdate("AAPL", i + 1));
    a.bus.publish(sent);
    await eventually("all came", () => b.received.length >= 50 && c.received.length >= 50);
    expect(b.received).toEqual(asReceived(sent));
    expect(c.received).toEqual(b.received);
    expect(b.batches).toEqual([50]);
    b.bus.publish([quoteUpdate("MSFT", 1)]);
    await eventually("one came back", () => a.received.length > 0 && c.received.length > 50);
    expect(a.received).toEqual(asReceived([quoteUpdate("MSFT", 1)]));
    expect(b.received).toHaveLength(50);
    const calm = { connected: true, dropped: 0, reconnects: 0 };
    await eventually("all is counted", () => {
      return a.bus.figures().published === 50 && b.bus.figures().published === 1;
    });
    expect(a.bus.figures()).toEqual({ ...calm, published: 50, received: 1 });
    expect(b.bus.figures()).toEqual({ ...calm, published: 1, received: 50 });
    expect([a.missed, b.missed, c.missed]).toEqual([0, 0, 0]);
  });

  test("figures of feeds reach the other servers, however many there are, and count as no update", async () => {
    await using a = await listen(broker);
    await using b = await listen(broker);
    const feeds = Array.from({ length: 3_000 }, (_, i) => {
      return { ticker: `T${i}`, type: "trade", interval: null, rows: i, saves: 1, stamp: null };
    });
    a.bus.publishFeeds(feeds);
    a.bus.publish([quoteUpdate("AAPL", 1)]);
    await eventually("all came", () => b.feeds.length >= 3_000 && b.received.length > 0);
    expect(b.feeds).toEqual(feeds);
    expect([a.feeds, a.received, b.received.length, b.missed]).toEqual([[], [], 1, 0]);
  });

  test("databases that share a broker don't hear each other", async () => {
    await using a = await listen(broker, "epoch-1");
    await using other = await listen(broker, "epoch-2");
    await using same = await listen(broker, "epoch-1");
    a.bus.publish([quoteUpdate("AAPL", 1)]);
    other.bus.publish([quoteUpdate("AAPL", 9)]);
    await eventually("it came", () => same.received.length > 0);
    await eventually("the other's was sent", () => other.bus.figures().published === 1);
    // Behind what may have been on its way.
    a.bus.publish([quoteUpdate("AAPL", 2)]);
    await eventually("the second came", () => same.received.length > 1);
    expect(same.received.map(({ position }) => position)).toEqual([1, 2]);
    expect(other.received).toEqual([]);
  });
}

function testOutages(broker: TestBroker): void {
  test("a broker that dies and comes back: everybody is told, and updates flow again", async () => {
    await using a = await listen(broker);
    await using b = await listen(broker);
    await broker.kill();
    await eventually("both notice", () => !a.bus.figures().connected && !b.bus.figures().connected);
    a.bus.publish([quoteUpdate("AAPL", 1), quoteUpdate("AAPL", 2)]);
    expect(a.bus.figures()).toMatchObject({ published: 0, dropped: 2 });
    await broker.start();
    await eventually("both are told", () => a.missed > 0 && b.missed > 0);
    await eventually("both are there", () => a.bus.figures().connected && b.bus.figures().connected);
    a.bus.publish([quoteUpdate("AAPL", 3)]);
    b.bus.publish([quoteUpdate("MSFT", 1)]);
    await eventually("both hear", () => a.received.length > 0 && b.received.length > 0);
    await eventually("it is counted", () => a.bus.figures().published === 1);
    expect(a.bus.figures()).toMatchObject({ published: 1, dropped: 2, reconnects: 1 });
    expect(b.received.map(({ position }) => position)).toEqual([3]);
    expect(a.log.join("\n")).toMatch(/lost: .*; trying again/);
    expect(a.log.at(-1)).toEndWith(": connected");
  });

  test("a broker that stands still is noticed", async () => {
    await using a = await listen(broker);
    await using b = await listen(broker);
    await broker.freeze();
    try {
      await eventually("both notice", () => !a.bus.figures().connected && !b.bus.figures().connected);
      a.bus.publish([quoteUpdate("AAPL", 1)]);
      expect(a.bus.figures().dropped).toBe(1);
    } finally {
      await broker.thaw();
    }
    await eventually("both are told", () => a.missed > 0 && b.missed > 0);
    await eventually("both are there", () => a.bus.figures().connected && b.bus.figures().connected);
    b.bus.publish([quoteUpdate("AAPL", 2)]);
    await eventually("it came", () => a.received.length > 0);
    expect(a.log.join("\n")).toContain("no answer for 3 s");
  });

  test("a server starts while the broker is away", async () => {
    await broker.kill();
    let started = false;
    try {
      await using a = await listen(broker);
      expect(a.bus.figures().connected).toBe(false);
      expect(a.log).toHaveLength(1);
      expect(a.log[0]).toContain("can't be reached: ");
      await broker.start();
      started = true;
      await eventually("it is told", () => a.missed > 0);
      expect(a.bus.figures()).toMatchObject({ connected: true, reconnects: 0 });
    } finally {
      if (!started) await broker.start();
    }
  });
}

function useBroker(scheme: string, start: () => Promise<BrokerProcess>): TestBroker {
  let broker: BrokerProcess | null = null;
  const current = (): BrokerProcess => broker!;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(async () => {
    await broker?.[Symbol.asyncDispose]();
  });
  return {
    get url() {
      return `${scheme}://127.0.0.1:${current().port}`;
    },
    dbFile: "",
    kill: () => current().kill(),
    start: () => current().start(),
    freeze: async () => current().freeze(),
    thaw: async () => current().thaw(),
  };
}

describeCarrier("NATS", {
  skip: NATS_SERVER === null,
  frames: true,
  use: () => useBroker("nats", () => startNatsServer()),
});
describeCarrier("Redis", {
  skip: REDIS_SERVER === null,
  frames: true,
  use: () => useBroker("redis", () => startRedisServer()),
});

const postgres = usePostgres();
describeCarrier("PostgreSQL", {
  skip: false,
  frames: false,
  use: () => ({
    url: "postgres",
    get dbFile() {
      return postgres.url();
    },
    kill: () => postgres.crash(),
    start: () => postgres.start(),
    freeze: () => postgres.freeze(),
    thaw: () => postgres.thaw(),
  }),
});

describe.skipIf(NATS_SERVER === null)("NATS", () => {
  test("a frame beyond the broker's bound goes as a position", async () => {
    await using broker = await startNatsServer("max_payload: 65536");
    const url = `nats://127.0.0.1:${broker.port}`;
    await using a = await listenToBus(url);
    await using b = await listenToBus(url);
    const small = quoteUpdate("AAPL", 1, "x".repeat(60_000));
    a.bus.publish([small, quoteUpdate("AAPL", 2, "x".repeat(70_000)), quoteUpdate("AAPL", 3)]);
    await eventually("all came", () => b.received.length === 3);
    expect(b.received.map(({ update }) => update?.frame.length ?? null)).toEqual([60_000, null, 17]);
    expect([a.missed, b.missed]).toEqual([0, 0]);
  });

  test.each([
    ["a password", 'authorization: {user: "me", password: "right"}', "nats://me:wr0ng@"],
    ["a token", 'authorization: {token: "right"}', "nats://wr0ng@"],
  ])("%s that is wrong is told, and not shown", async (_, setting, url) => {
    await using broker = await startNatsServer(setting);
    await using right = await listenToBus(`${url.replace("wr0ng", "right")}127.0.0.1:${broker.port}`);
    expect(right.bus.figures().connected).toBe(true);
    await using wrong = await listenToBus(`${url}127.0.0.1:${broker.port}`);
    expect(wrong.bus.figures().connected).toBe(false);
    expect(wrong.log).toHaveLength(1);
    expect(wrong.log[0]).toMatch(/can't be reached: .*Authorization Violation/i);
    expect(wrong.log[0]).not.toContain("wr0ng");
  });

  test("a user who may not publish is told", async () => {
    const denied =
      'authorization: {users: [{user: "me", password: "p", permissions: {publish: {deny: ["stock-db.>"]}}}]}';
    await using broker = await startNatsServer(denied);
    await using a = await listenToBus(`nats://me:p@127.0.0.1:${broker.port}`);
    expect(a.bus.figures().connected).toBe(false);
    expect(a.log[0]).toMatch(/can't be reached: .*permissions violation/i);
  });
});

describe.skipIf(REDIS_SERVER === null)("Redis", () => {
  test("a frame beyond 1 MB goes as a position; what the broker doesn't take in time is dropped, counted and told", async () => {
    await using broker = await startRedisServer();
    const url = `redis://127.0.0.1:${broker.port}`;
    await using a = await listenToBus(url);
    await using b = await listenToBus(url);
    a.bus.publish([
      quoteUpdate("AAPL", 1, "x".repeat(1_000_000)),
      quoteUpdate("AAPL", 2, "x".repeat(1_100_000)),
    ]);
    await eventually("both came", () => b.received.length === 2);
    expect(b.received.map(({ update }) => update?.frame.length ?? null)).toEqual([1_000_000, null]);

    // All in one turn: the broker can't have taken any.
    a.bus.publish(Array.from({ length: 30 }, (_, i) => quoteUpdate("MSFT", i + 1, "x".repeat(1_000_000))));
    expect(a.bus.figures().dropped).toBe(14);
    await eventually("the others came", () => b.received.length === 18);
    // The newest are kept: they tell by their position that others are missing.
    expect(b.received.slice(2).map(({ position }) => position)).toEqual(
      Array.from({ length: 16 }, (_, i) => i + 15),
    );
    await eventually("it is told", () => b.missed > 0);
    expect(a.missed).toBe(0);
  });

  test("connections that the broker kills are replaced", async () => {
    await using broker = await startRedisServer();
    const url = `redis://127.0.0.1:${broker.port}`;
    await using a = await listenToBus(url);
    await using b = await listenToBus(url);
    const admin = new Bun.RedisClient(url);
    for (const [round, type] of ["pubsub", "normal"].entries()) {
      await admin.send("CLIENT", ["KILL", "TYPE", type, "SKIPME", "yes"]);
      await eventually("both are replaced", () =>
        [a, b].every(({ bus }) => bus.figures().reconnects === round + 1 && bus.figures().connected),
      );
      a.bus.publish([quoteUpdate("AAPL", round + 1)]);
      await eventually("it came", () => b.received.length === round + 1);
    }
    expect([a.missed, b.missed]).toEqual([2, 2]);
    admin.close();
  });

  test("a password that is wrong is told, and not shown", async () => {
    await using broker = await startRedisServer("--requirepass", "right");
    await using right = await listenToBus(`redis://:right@127.0.0.1:${broker.port}`);
    expect(right.bus.figures().connected).toBe(true);
    await using wrong = await listenToBus(`redis://:wr0ng@127.0.0.1:${broker.port}`);
    expect(wrong.bus.figures().connected).toBe(false);
    expect(wrong.log).toHaveLength(1);
    expect(wrong.log[0]).toMatch(/can't be reached: .*(WRONGPASS|invalid)/i);
    expect(wrong.log[0]).not.toContain("wr0ng");
  });
});

describe("PostgreSQL", () => {
  test("connections that the database ends are replaced, and many positions go at once", async () => {
    const dbFile = postgres.url();
    await using a = await listenToBus("postgres", { dbFile });
    await using b = await listenToBus("postgres", { dbFile });
    await postgres.admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stock-db-server'`;
    await eventually("both are replaced", () =>
      [a, b].every(
        ({ bus, missed }) => bus.figures().reconnects > 0 && bus.figures().connected && missed > 0,
      ),
    );
    a.bus.publish(Array.from({ length: 5_000 }, (_, i) => quoteUpdate(`T${i}é`, 1)));
    await eventually("all came", () => b.received.length === 5_000);
    expect(b.received.at(-1)).toEqual({ ticker: "T4999é", position: 1, update: null });
    expect(b.batches.length).toBeLessThan(20);
  });

  test("another database than PostgreSQL, or a pool that is declared, is wrong usage", async () => {
    const open = async (dbFile: string): Promise<void> => {
      await using _ = await listenToBus("postgres", { dbFile });
    };
    await expect(open("data/stock.db")).rejects.toThrow("--bus postgres: expected a PostgreSQL database");
    await expect(open("postgresql://me:s3cret@h/d?pgbouncer=true")).rejects.toThrow(
      "PgBouncer in transaction mode",
    );
  });

  test.skipIf(PGBOUNCER === null)("PgBouncer in transaction mode is named as the reason", async () => {
    await using bouncer = await startPgBouncer(postgres.port, "default_pool_size = 4");
    await using a = await listenToBus("postgres", {
      dbFile: `postgresql://postgres@127.0.0.1:${bouncer.port}/postgres`,
    });
    expect(a.bus.figures().connected).toBe(false);
    expect(a.log[0]).toContain("PgBouncer in transaction mode");
  });
});

test("a broker that nobody has is told without a stack", async () => {
  await expect(tryBus({ url: "redis://127.0.0.1:1", dbFile: "" })).rejects.toThrow("ECONNREFUSED");
});
