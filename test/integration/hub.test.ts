/** The hub and its clients over their real socket, with a real database. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Hub, startHub } from "../../src/hub/hub.ts";
import { HubClient } from "../../src/hub/hub-client.ts";
import { HUB_SOCKET } from "../../src/hub/messages.ts";
import type { LogLines } from "../../src/observe/log.ts";
import type { SaveOutcome, SaveTicks, StockWriter } from "../../src/storage/contract.ts";
import { SqliteWriter } from "../../src/storage/sqlite/writer.ts";
import { FEEDS_OF_CLIENT, FEEDS_OF_HUB } from "../support/feeds.ts";
import { logged, stampOf, ticks } from "../support/saves.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const SILENT: LogLines = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };

function setUp() {
  const dir = tempDir();
  const dbFile = join(dir.path, "test.db");
  const hubs: Hub[] = [];
  const clients: HubClient[] = [];
  return {
    dir: dir.path,
    /**
     * @param savesPerCommit the writer leaves the others of a batch, as it does when its time is
     *   up.
     */
    startHub({ savesPerCommit = Number.POSITIVE_INFINITY } = {}): Hub {
      const sqlite = new SqliteWriter(dbFile, "normal", 64);
      const writer: StockWriter = {
        commit: (saves) => [
          ...sqlite.commit(saves.slice(0, savesPerCommit)),
          ...saves.slice(savesPerCommit).map(() => null),
        ],
        changedByOthers: () => sqlite.changedByOthers(),
        edit: (edit) => sqlite.edit(edit),
        removeCheck: (ticker) => sqlite.removeCheck(ticker),
        isEmpty: () => sqlite.isEmpty(),
        close: () => sqlite.close(),
      };
      const hub = startHub({
        feeds: FEEDS_OF_HUB,
        runtimeDir: dir.path,
        writer,
        database: null,
        log: SILENT,
        openBus: null,
        leaseTimeoutMs: 60_000,
      });
      let stopped: Promise<void> | null = null;
      const running = { stop: () => (stopped ??= hub.stop().then(() => sqlite.close())) };
      hubs.push(running);
      return running;
    },
    async connect(workerId: number) {
      const published: string[] = [];
      let missed = 0;
      const addresses = new Map<string, number>();
      const client = new HubClient({
        ...FEEDS_OF_CLIENT,
        runtimeDir: dir.path,
        workerId,
        log: SILENT,
        publish: (ticker, { position, type, frame }) => {
          expect(type).toBe("trade");
          published.push(`${ticker} ${position} ${frame}`);
        },
        note: () => undefined,
        removed: () => undefined,
        condition: () => undefined,
        missed: () => missed++,
        livenessMs: 10_000,
        conditions: { begin() {}, end() {} },
        sockets: () => addresses,
      });
      clients.push(client);
      await client.connect();
      return { client, published, addresses, missed: () => missed };
    },
    storedPrices(): number[] {
      using db = new Database(dbFile, { readonly: true });
      return db
        .query<{ price: number }, []>("SELECT price FROM realtime_data ORDER BY price")
        .all()
        .map((row) => row.price);
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      for (const hub of hubs) await hub.stop();
      dir[Symbol.dispose]();
    },
  };
}

function tick(ticker: string, price: number, onDuplicate: SaveTicks["onDuplicate"] = "match"): SaveTicks {
  const update = logged(`${ticker}-${price}-${onDuplicate}`, String(price));
  return ticks(ticker, [[stampOf(price), price]], onDuplicate, update);
}

const save = (client: HubClient, ticker: string, price: number, onDuplicate?: SaveTicks["onDuplicate"]) =>
  client.save(tick(ticker, price, onDuplicate), 100);

test("updates go to the workers that subscribed, in the order of commits, and end with the subscription", async () => {
  await using setup = setUp();
  setup.startHub();
  const writer = await setup.connect(0);
  const reader = await setup.connect(1);
  const other = await setup.connect(2);
  await writer.client.subscribe("A");
  await reader.client.subscribe("A");
  await other.client.subscribe("B");

  await Promise.all([1, 2, 3, 4].map((price) => save(price % 2 ? writer.client : reader.client, "A", price)));
  await waitUntil("the reader has them", () => reader.published.length === 4);
  await waitUntil("the writer has them", () => writer.published.length === 4);
  expect(reader.published).toEqual(writer.published);

  reader.client.unsubscribe("A");
  await save(writer.client, "A", 5);
  await reader.client.subscribe("A");
  await save(writer.client, "A", 6);
  await waitUntil("the last is here", () => reader.published.includes("A 6 6"));
  expect(reader.published).not.toContain("A 5 5");
  expect(other.published).toEqual([]);
});

test("a subscription is confirmed before anything that is committed later", async () => {
  await using setup = setUp();
  setup.startHub();
  const writer = await setup.connect(0);
  const reader = await setup.connect(1);
  for (let price = 1; price <= 50; price++) {
    const ticker = `T${price}`;
    const early = save(writer.client, ticker, price);
    await reader.client.subscribe(ticker);
    await save(writer.client, ticker, 1000 + price);
    await early;
    await waitUntil("the save after the confirmation is here", () =>
      reader.published.includes(`${ticker} 2 ${1000 + price}`),
    );
  }
});

test("while the lease is out nothing is committed; it comes back with its release, or with the end of its holder", async () => {
  await using setup = setUp();
  setup.startHub();
  const holder = await setup.connect(0);
  const writer = await setup.connect(1);
  const lease = await holder.client.acquire(new AbortController().signal);
  let outcome: SaveOutcome | null = null;
  const saved = save(writer.client, "A", 1).then((result) => {
    outcome = result;
  });
  await Bun.sleep(100);
  expect(outcome).toBeNull();
  expect(setup.storedPrices()).toEqual([]);
  await lease.release();
  await saved;
  expect(setup.storedPrices()).toEqual([1]);

  await holder.client.acquire(new AbortController().signal);
  const second = save(writer.client, "A", 2);
  holder.client.close();
  expect(await second).toMatchObject({ ok: true });
});

test("who gives up waiting for the lease holds nothing", async () => {
  await using setup = setUp();
  setup.startHub();
  const first = await setup.connect(0);
  const second = await setup.connect(1);
  const lease = await first.client.acquire(new AbortController().signal);
  const abort = new AbortController();
  const waiting = second.client.acquire(abort.signal);
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await lease.release();
  expect(await save(second.client, "A", 1)).toMatchObject({ ok: true });
});

test("saves without an answer are sent again once to the next hub, and stored once if the first had them already", async () => {
  await using setup = setUp();
  const first = setup.startHub();
  const { client: before } = await setup.connect(1);
  expect(await save(before, "A", 1)).toMatchObject({ ok: true, stored: 1, position: 1 });
  before.close();
  await first.stop();
  // A hub that takes everything and answers nothing.
  let received = 0;
  const deaf = Bun.listen({
    unix: join(setup.dir, HUB_SOCKET),
    socket: {
      data(_socket, chunk) {
        received += chunk.length;
      },
    },
  });
  const { client, missed } = await setup.connect(0);
  const known = save(client, "A", 1);
  const fresh = save(client, "A", 2);
  // It asks whether the key was free: what the first try has stored is told by the log.
  const asking = save(client, "A", 3, "error");
  await waitUntil("the saves are on their way", () => received > 400);
  deaf.stop(true);
  setup.startHub();
  expect(await known).toMatchObject({ ok: true, stored: 1, position: 1, isRepetition: true });
  expect(await fresh).toMatchObject({ ok: true, stored: 1, position: 2 });
  expect(await asking).toMatchObject({ ok: true, stored: 1, position: 3 });
  expect(setup.storedPrices()).toEqual([1, 2, 3]);
  await waitUntil("it is told that it may have missed something", () => missed() === 1);
});

test("WebSockets of an address are counted over all workers, also by the next hub", async () => {
  await using setup = setUp();
  const first = setup.startHub();
  const one = await setup.connect(0);
  const two = await setup.connect(1);
  const admit = async (of: typeof one, address: string): Promise<boolean> => {
    const admitted = await of.client.admit(address, 3);
    if (admitted) of.addresses.set(address, (of.addresses.get(address) ?? 0) + 1);
    return admitted;
  };
  expect([await admit(one, "10.0.0.1"), await admit(two, "10.0.0.1"), await admit(two, "10.0.0.1")]).toEqual([
    true,
    true,
    true,
  ]);
  expect(await admit(one, "10.0.0.1")).toBe(false);
  expect(await admit(one, "10.0.0.2")).toBe(true);
  await first.stop();
  setup.startHub();
  await waitUntil("both are connected again", () => one.missed() === 1 && two.missed() === 1);
  expect(await admit(one, "10.0.0.1")).toBe(false);
  two.client.left("10.0.0.1");
  two.addresses.set("10.0.0.1", 1);
  await waitUntil("there is room", () => admit(two, "10.0.0.1"));
  two.client.close();
  await waitUntil("a worker that is gone has none", () => admit(one, "10.0.0.1"));
});

test("stopping commits all that has arrived, also with somebody waiting for the lease", async () => {
  await using setup = setUp();
  const hub = setup.startHub();
  const { client } = await setup.connect(0);
  const lease = await client.acquire(new AbortController().signal);
  const waiting = client.acquire(new AbortController().signal).catch(() => null);
  // More than one transaction takes.
  const rowsOf = (from: number) => Array.from({ length: 15_000 }, (_, i) => tick("A", from + i).rows[0]!);
  const saves = [0, 20_000, 40_000].map((from) =>
    client.save({ ...tick("A", 0), rows: rowsOf(from) }, 1).catch(() => null),
  );
  // What the hub answers now, it has received after the saves.
  await new Promise(setImmediate);
  await client.subscribe("B");
  await hub.stop();
  expect(setup.storedPrices().length).toBe(45_000);
  client.close();
  await Promise.all([waiting, ...saves]);
  await lease.release();
});

test("saves that a transaction leaves for the next keep their order, and every one is answered and told", async () => {
  await using setup = setUp();
  setup.startHub({ savesPerCommit: 2 });
  const writer = await setup.connect(0);
  const reader = await setup.connect(1);
  await reader.client.subscribe("A");
  const prices = Array.from({ length: 9 }, (_, i) => i + 1);
  const outcomes = await Promise.all(prices.map((price) => save(writer.client, "A", price)));
  expect(outcomes).toMatchObject(prices.map((price) => ({ ok: true, stored: 1, position: price })));
  await waitUntil("all are published", () => reader.published.length === prices.length);
  expect(reader.published).toEqual(prices.map((price) => `A ${price} ${price}`));
  expect(setup.storedPrices()).toEqual(prices);
});

test("who sends what is no message is cut off, and the others save on", async () => {
  await using setup = setUp();
  setup.startHub();
  const { client } = await setup.connect(0);
  const framed = (json: string): Buffer => {
    const bytes = Buffer.alloc(8 + json.length);
    bytes.writeUInt32LE(4 + json.length, 0);
    bytes.writeUInt32LE(json.length, 4);
    bytes.write(json, 8);
    return bytes;
  };
  const longerThanItself = framed("{}");
  longerThanItself.writeUInt32LE(1_000, 4);
  const nonsense = [
    framed("null"),
    framed("{"),
    framed('{"type":"saves"}'),
    framed('{"type":"saves","saves":[[1,{"kind":"ticks"},0]]}'),
    framed('{"type":"saves","saves":[[1,{"kind":"constructor","ticker":"A","rows":[]},0]]}'),
    framed('{"type":"subscribe","id":1}'),
    framed('{"type":"committed","updates":[["A",null]]}'),
    framed('{"type":"evil"}'),
    longerThanItself,
    Buffer.alloc(16, 0xff),
  ];
  for (const bytes of nonsense) {
    const closed = Promise.withResolvers<void>();
    await Bun.connect({
      unix: join(setup.dir, HUB_SOCKET),
      socket: { data() {}, open: (socket) => void socket.write(bytes), close: () => closed.resolve() },
    });
    await closed.promise;
  }
  expect((await save(client, "A", 1)).ok).toBe(true);
  expect(setup.storedPrices()).toEqual([1]);
});
