/** Columns of a database in the hub, over its real socket. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startHub } from "../../src/hub/hub.ts";
import { HubClient } from "../../src/hub/hub-client.ts";
import { hubReader } from "../../src/hub/hub-reader.ts";
import type { LogLines } from "../../src/observe/log.ts";
import { unavailable } from "../../src/protocol/errors.ts";
import type { Save, StockReader, StockWriter } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import {
  type ColumnQuery,
  rowColumnNames,
  rowsOfBatch,
  type WalkPositions,
} from "../../src/storage/model/columns.ts";
import { FEEDS_OF_CLIENT, FEEDS_OF_HUB } from "../support/feeds.ts";
import { stampOf } from "../support/saves.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const SILENT: LogLines = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };
/** Several batches. */
const ROWS = 60_000;
const query: ColumnQuery = {
  kind: "ticks",
  tickers: null,
  parts: null,
  from: null,
  to: null,
  columns: rowColumnNames("ticks"),
};

interface Setting {
  worker: StockReader;
  writer: StockWriter;
  /** Of the walks in the hub. */
  walks: { begun: number; ended: number };
  breakAfter(batches: number): void;
}

async function withHub(body: (setting: Setting) => Promise<void>): Promise<void> {
  using dir = tempDir();
  const path = join(dir.path, "test.duckdb");
  const database = await openDuckDb({ path, memoryLimitMb: 512, threads: 2, onFatal() {} });
  const walks = { begun: 0, ended: 0 };
  let batchesLeft = Number.POSITIVE_INFINITY;
  const counted = Object.create(database.reader, {
    columns: {
      async *value(asked: ColumnQuery) {
        walks.begun++;
        try {
          for await (const batch of database.reader.columns(asked)) {
            if (batchesLeft-- <= 0) throw unavailable("read: it broke");
            yield batch;
          }
        } finally {
          walks.ended++;
        }
      },
    },
  }) as StockReader;
  const { writer, sql } = database;
  const hub = startHub({
    feeds: FEEDS_OF_HUB,
    runtimeDir: dir.path,
    writer,
    database: { reader: counted, sql },
    log: SILENT,
    openBus: null,
    leaseTimeoutMs: 60_000,
  });
  const client = new HubClient({
    ...FEEDS_OF_CLIENT,
    runtimeDir: dir.path,
    workerId: 0,
    log: SILENT,
    publish: () => undefined,
    note: () => undefined,
    removed: () => undefined,
    condition: () => undefined,
    missed: () => undefined,
    livenessMs: 10_000,
    conditions: { begin() {}, end() {} },
    sockets: () => [],
  });
  try {
    await client.connect();
    await body({
      worker: hubReader(client),
      writer,
      walks,
      breakAfter: (batches) => {
        batchesLeft = batches;
      },
    });
  } finally {
    client.close();
    await hub.stop();
    await database.close();
  }
}

async function saveTicks(writer: StockWriter): Promise<Save> {
  const rows = Array.from({ length: ROWS }, (_, n) => [
    stampOf(n),
    n % 5 === 0 ? null : n / 8,
    n % 7 === 0 ? null : n % 3 === 0 ? "9007199254740993" : n,
    null,
    null,
    n % 2 === 0 ? `id ${n}` : null,
    n % 11 === 0 ? '{"é":1}' : null,
    null,
  ]);
  const save = { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "append" } as Save;
  expect(await writer.commit([save])).toMatchObject([{ ok: true }]);
  return save;
}

test("batches come as the hub reads them, with the positions of their snapshot", () =>
  withHub(async ({ worker, writer, walks }) => {
    const save = await saveTicks(writer);
    let told: WalkPositions | null = null;
    const rows: unknown[] = [];
    for await (const batch of worker.columns({
      ...query,
      onPositions(found) {
        told = found;
      },
    })) {
      expect([...batch.columns.keys()]).toEqual(rowColumnNames("ticks"));
      rows.push(...rowsOfBatch("ticks", batch));
    }
    expect(rows).toEqual(save.rows.map((row) => row.with(-1, 0)));
    expect(told!).toEqual({ epoch: await worker.updates.epoch(), positions: new Map([["A", 1]]) });
    expect(walks).toEqual({ begun: 1, ended: 1 });
    const none = await Array.fromAsync(worker.columns({ ...query, tickers: ["B"] }));
    expect(none).toEqual([]);
  }));

test("a walk that is given up, by its reader or by the signal, ends in the hub", () =>
  withHub(async ({ worker, writer, walks }) => {
    await saveTicks(writer);
    for await (const batch of worker.columns(query)) {
      expect(batch.rows).toBeGreaterThan(0);
      break;
    }
    await waitUntil("the walk in the hub ends", () => walks.ended === 1);
    const stop = new AbortController();
    const walk = async (): Promise<void> => {
      for await (const _ of worker.columns({ ...query, signal: stop.signal })) stop.abort();
    };
    await expect(walk()).rejects.toThrow();
    await waitUntil("the other one ends", () => walks.ended === 2);
    expect(walks.begun).toBe(2);
  }));

test("a walk that breaks in the hub throws in the worker, with the hub's words", () =>
  withHub(async ({ worker, writer, breakAfter }) => {
    await saveTicks(writer);
    breakAfter(2);
    let batches = 0;
    const walk = async (): Promise<void> => {
      for await (const _ of worker.columns(query)) batches++;
    };
    await expect(walk()).rejects.toThrow("read: it broke");
    expect(batches).toBe(2);
  }));
