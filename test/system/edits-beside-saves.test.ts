/**
 * Deletions beside saves, and while the writer dies: what subscribers make of the updates
 * is what the database holds.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { usePostgres } from "../support/postgres.ts";
import { randomNumbers } from "../support/random.ts";
import { command, fillTicks, type Json, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { type Frame, Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(240_000);

const postgres = usePostgres();
const DATABASES: Record<string, (dir: string) => string | Promise<string>> = {
  sqlite: (dir) => join(dir, "test.db"),
  duckdb: (dir) => join(dir, "test.duckdb"),
  postgres: () => postgres.freshSchema(),
};
const SECONDS = 20;
const CLIENTS = 6;
const STEPS = 40;

const stampOf = (second: number) => `2024-01-02T10:00:${String(second).padStart(2, "0")}.000000Z`;

/** What a client of one ticker keeps: ids by stamp, from the updates alone. */
function keptBy(updates: Frame[]): string[] {
  const kept = new Map<string, string>();
  for (const { data } of updates.toSorted((a, b) => a.seq - b.seq)) {
    if (data.type === "trade")
      for (const { id, timestamp } of data.payload) kept.set(`${timestamp} ${id}`, timestamp);
    else
      for (const [key, stamp] of kept) {
        const isWithin = (data.start ?? "") <= stamp && stamp <= (data.end ?? "~");
        const isNamed = data.ids === undefined || data.ids.includes(key.slice(stamp.length + 1));
        if (isWithin && isNamed) kept.delete(key);
      }
  }
  return [...kept.keys()].sort();
}

for (const [engine, place] of Object.entries(DATABASES)) {
  describe(engine, () => {
    test("what subscribers keep is what is stored", async () => {
      using dir = tempDir();
      await using server = await startServer({ dbFile: await place(dir.path), workers: 2 });
      await using front = await startServer({ dbFile: `127.0.0.1:${server.port}` });
      await using near = await Subscriber.open(server.wsUrl, "A");
      await using far = await Subscriber.open(front.wsUrl, "A");
      let ids = 0;
      const positions: number[] = [];
      const note = ({ status, body }: { status: number; body: Json }): void => {
        expect({ status, body }).toMatchObject({ status: 200 });
        if (body.seq !== null) positions.push(body.seq);
      };
      const client = async (seed: number): Promise<void> => {
        const random = randomNumbers(seed);
        const second = () => Math.floor(random() * SECONDS);
        for (let step = 0; step < STEPS; step++) {
          const url = random() < 0.3 ? front.url : server.url;
          if (random() < 0.7) {
            const timestamp = stampOf(second());
            const data = Array.from({ length: 3 }, () => ({
              timestamp,
              price: 1,
              size: 1,
              id: `id-${ids++}`,
            }));
            const ticks = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
            note(await command(url, "save_realtime_data", ticks));
            continue;
          }
          const [a, b] = [second(), second()].sort((x, y) => x - y);
          const some = Array.from({ length: 5 }, () => `id-${Math.floor(random() * ids)}`);
          const wanted =
            random() < 0.5
              ? { start_datetime: stampOf(a!), end_datetime: stampOf(Math.min(b!, a! + 3)) }
              : { ids: some };
          note(await command(url, "delete_ticks", { ticker: "A", data_type: "trade", ...wanted }));
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index + 1)));
      const last = positions.length;
      expect(positions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: last }, (_, i) => i + 1));
      const { body } = await command(server.url, "get_realtime_data", {
        ticker: "A",
        data_type: "trade",
        include_extra: true,
      });
      const stored = body.data.map(({ timestamp, id }: Json) => `${timestamp} ${id}`).sort();
      expect(stored.length).toBeGreaterThan(0);
      for (const subscriber of [near, far]) {
        await subscriber.until("all updates", () => subscriber.positions.get("A") === last);
        expect(subscriber.seqs).toEqual(Array.from({ length: last }, (_, i) => i + 1));
        expect(keptBy(subscriber.updates)).toEqual(stored);
      }
    });
  });
}

for (const engine of ["sqlite", "duckdb"] as const)
  for (const workers of [1, 2])
    test(`${engine}, ${workers} workers: an edit under which the writer dies is made once`, async () => {
      using dir = tempDir();
      const dbFile = await DATABASES[engine]!(dir.path);
      await using server = await startServer({ dbFile, workers });
      await using subscriber = await Subscriber.open(server.wsUrl, "A");
      const rows = 20_000;
      const fill = () =>
        engine === "sqlite" ? fillTicks(server.url, "A", rows) : saveTrade(server.url, "A", 1);
      let position = 0;
      for (const [round, pauseMs] of [0, 3, 10, 30].entries()) {
        await untilReady(server);
        const filled = await fill();
        expect(filled).toMatchObject({ status: 200 });
        if (engine === "duckdb") position = filled.body.seq;
        const edit =
          round % 2 === 0
            ? command(server.url, "delete_ticks", { ticker: "A", data_type: "*", all: true })
            : command(server.url, "rename_ticker", { ticker: "A", new_ticker: `NEW ${round}` });
        await Bun.sleep(pauseMs);
        const { hub } = processesOf(server);
        if (hub > 0) process.kill(hub, "SIGKILL");
        const { status, body } = await edit;
        expect({ status, body }).toMatchObject({ status: 200 });
        expect(body.removed ?? body.renamed).toBe(engine === "sqlite" ? rows : 1);
        position++;
        expect(body.seq).toBe(round % 2 === 0 ? position : 1);
        const left = await command(server.url, "get_realtime_data", { ticker: "A", data_type: "trade" });
        expect(left.body.data).toEqual([]);
        await subscriber.until(`update ${position}`, () => subscriber.positions.get("A") === position);
        // It may have died behind its answer, and nobody knows of it yet.
        await waitUntil("another hub is there", () => ![0, hub].includes(processesOf(server).hub));
      }
      expect(subscriber.updates.filter(({ data }) => /_delete|_rename/.test(data.type))).toHaveLength(4);
      expect(subscriber.faults).toEqual([]);
    });
