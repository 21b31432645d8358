/** Rows as typed columns out of PostgreSQL and into it. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { parseSettings } from "../../src/config/settings.ts";
import type { Save, SaveOutcome, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import {
  type ColumnBatch,
  type ColumnQuery,
  rowColumnNames,
  rowsOfBatch,
} from "../../src/storage/model/columns.ts";
import {
  KIND_NAMES,
  KINDS,
  type KindName,
  kindOf,
  type SeriesRow,
  seriesColumns,
} from "../../src/storage/model/kinds.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { batchOfRows } from "../support/column-batches.ts";
import { exactRow, randomSave } from "../support/column-rows.ts";
import { hasPgBouncer, usePostgres } from "../support/postgres.ts";
import { randomNumbers } from "../support/random.ts";
import { proxyTo } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const postgres = usePostgres();
const open = (dbFile: string, dbPoolSize = 4): Promise<PostgresDatabase> =>
  openPostgres({ ...parseSettings([], {}).settings, dbFile, dbPoolSize });

const everything = (kind: KindName): ColumnQuery => ({
  kind,
  tickers: null,
  parts: null,
  from: null,
  to: null,
  columns: [...seriesColumns(kindOf(kind)), ...rowColumnNames(kind)],
});

const columnsOf = (db: PostgresDatabase, query: ColumnQuery): AsyncIterable<ColumnBatch> =>
  db.openTransfer().columns!(query);

/** With ticker and part in front. */
async function rowsByColumns(db: PostgresDatabase, query: ColumnQuery): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const batch of columnsOf(db, query)) {
    const series = seriesColumns(kindOf(query.kind)).map((name) => batch.columns.get(name)!);
    for (const [index, row] of rowsOfBatch(query.kind, batch).entries()) {
      const names = series.map((data) => (data.type === "text" ? data.dictionary[data.codes[index]!] : null));
      rows.push([...names, ...exactRow(query.kind, row)]);
    }
  }
  return rows;
}

async function rowsByRows(db: PostgresDatabase, kind: KindName): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  const { part: hasParts } = kindOf(kind);
  for (const ticker of await db.openTransfer().tickers(kind, null, 1_000)) {
    const parts = hasParts === null ? [null] : await db.openTransfer().parts(kind, ticker);
    for (const part of parts) {
      for await (const batch of db.openTransfer().rows({ kind, ticker, part, from: null, to: null })) {
        const series = part === null ? [ticker] : [ticker, part];
        rows.push(...batch.map((row) => [...series, ...exactRow(kind, row)]));
      }
    }
  }
  return rows;
}

async function saveRandom(db: PostgresDatabase, seed: number): Promise<void> {
  const random = randomNumbers(seed);
  const saves = KIND_NAMES.flatMap((kind) =>
    ["A", "B", "ä", "株", "b"].flatMap((ticker) =>
      (KINDS[kind].part === null ? [null] : ["quote", "trade", "Ω"]).map((part) =>
        randomSave(random, { kind, ticker, part, rows: 1_000 }),
      ),
    ),
  );
  for (const outcome of await db.writer.commit(saves)) expect(outcome).toMatchObject({ ok: true });
}

async function expectSame(db: PostgresDatabase): Promise<void> {
  for (const kind of KIND_NAMES) {
    const rows = await rowsByRows(db, kind);
    expect(rows.length).toBeGreaterThanOrEqual(5_000);
    expect(await rowsByColumns(db, everything(kind))).toEqual(rows);
    const { stamp, part } = kindOf(kind);
    const at = rows[0]!.length - rowColumnNames(kind).length;
    const [from, to] = [rows[700]![at] as string, rows[1_200]![at] as string].sort();
    const some: ColumnQuery = {
      ...everything(kind),
      tickers: ["株", "A", "nobody", "A\0", "o'\\"],
      parts: part === null ? null : ["trade"],
      from: from!,
      to: to!,
    };
    const isAsked = (row: unknown[]): boolean =>
      some.tickers!.includes(row[0] as string) &&
      (part === null || row[1] === "trade") &&
      (row[at] as string) >= from! &&
      (row[at] as string) <= to!;
    expect(await rowsByColumns(db, some)).toEqual(rows.filter(isAsked));
    // One column alone, and in another order.
    for await (const { columns, rows } of columnsOf(db, {
      ...some,
      columns: ["ticker", stamp.name].reverse(),
    })) {
      expect([...columns.keys()]).toEqual([stamp.name, "ticker"]);
      expect(
        [...columns.values()].map((data) => (data.type === "text" ? data.codes : data.values).length),
      ).toEqual([rows, rows]);
    }
  }
}

test("random rows of every kind are the same as columns and as rows", async () => {
  await using db = await open(await postgres.freshSchema());
  expect(await rowsByColumns(db, everything("ticks"))).toEqual([]);
  await saveRandom(db, 1);
  await expectSame(db);
});

test("without a binary COPY they come through a cursor", async () => {
  const url = new URL(await postgres.freshSchema());
  using proxy = proxyTo(Number(url.port));
  proxy.swap("COPY (", "C0PY (");
  url.port = String(proxy.port);
  await using db = await open(url.href);
  await saveRandom(db, 2);
  await expectSame(db);
  await expectSnapshot(db);
});

test.skipIf(!hasPgBouncer)("behind PgBouncer they are the same", async () => {
  await using db = await open(await postgres.freshDatabaseBehindPgBouncer());
  await saveRandom(db, 3);
  await expectSame(db);
  await expectGivenUp(db);
});

test("counts that no save has sent keep their digits, and what is no number is none", async () => {
  const dbFile = await postgres.freshSchema();
  await using db = await open(dbFile);
  const schema = new URL(dbFile).searchParams.get("search_path");
  const sizes = [
    "99999999999999999999",
    "0.10000000000000000001",
    "-0.00000001",
    "1.50",
    "NaN",
    "-12345678.00009",
  ];
  for (const [seq, size] of sizes.entries())
    await postgres.admin.unsafe(
      `INSERT INTO ${schema}.realtime_data (ticker, type, "timestamp", seq, size)
       VALUES ('A', 'trade', '2024-01-02 10:00:00+00', ${seq}, '${size}'::numeric)`,
    );
  const [batch] = await Array.fromAsync(columnsOf(db, { ...everything("ticks"), columns: ["size"] }));
  const data = batch!.columns.get("size")!;
  expect(data.type).toBe("text");
  if (data.type !== "text") return;
  const texts = [...data.codes].map((code, row) => (data.nulls?.[row] === 1 ? null : data.dictionary[code]));
  expect(texts).toEqual([
    "99999999999999999999",
    "0.10000000000000000001",
    "-0.00000001",
    "1.5",
    null,
    "-12345678.00009",
  ]);
});

test("a stored row that no save could have stored ends the walk, and the connection is usable", async () => {
  const dbFile = await postgres.freshSchema();
  await using db = await open(dbFile, 3);
  const schema = new URL(dbFile).searchParams.get("search_path");
  await postgres.admin.unsafe(`
    INSERT INTO ${schema}.hourly_prices (ticker, datetime) VALUES ('A', '2024-01-02 10:00:00.5+00');
    INSERT INTO ${schema}.realtime_data (ticker, type, "timestamp", seq)
      VALUES ('A', 'trade', '2024-01-02 10:00:00+00', ${2n ** 60n})`);
  for (let time = 0; time < 4; time++) {
    await expect(rowsByColumns(db, everything("hourly"))).rejects.toThrow(
      "A hourly 2024-01-02 10:00:00.500000: hourly bars have no fraction of a second",
    );
    await expect(rowsByColumns(db, everything("ticks"))).rejects.toThrow(
      /^A trade 2024-01-02 10:00:00.000000: .*expected less than 2\^53/,
    );
  }
});

const MANY = 60_000;

/** Of one series. */
function manyTicks(count = MANY): SaveTicks {
  const rows = Array.from({ length: count }, (_, i): TickRow => {
    return [`2024-01-02 10:00:00.${String(i).padStart(6, "0")}`, i, i, null, null, null, null, 0];
  });
  return { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "match" };
}

const changed = (rows: TickRow[]): Save => ({ ...manyTicks(0), rows, onDuplicate: "replace" });

/** What is saved while they come doesn't show. */
async function expectSnapshot(db: PostgresDatabase): Promise<void> {
  const save = { ...manyTicks(), ticker: "SNAPSHOT" };
  await db.writer.commit([save]);
  const query = { ...everything("ticks"), tickers: [save.ticker] };
  const prices: number[] = [];
  for await (const { columns } of columnsOf(db, query)) {
    const data = columns.get("price")!;
    if (data.type === "double") prices.push(...data.values);
    const [stamp] = save.rows.at(-1)!;
    const rows: TickRow[] = [
      [stamp, -1, 0, null, null, null, null, 0],
      [stamp, -1, 0, null, null, null, null, prices.length],
    ];
    await db.writer.commit([{ ...changed(rows), ticker: save.ticker } as Save]);
  }
  expect(prices).toEqual(save.rows.map((row) => row[1]!));
}

async function expectGivenUp(db: PostgresDatabase): Promise<void> {
  const ticker = "GIVEN UP";
  await db.writer.commit([{ ...manyTicks(), ticker }]);
  const query = { ...everything("ticks"), tickers: [ticker] };
  for (let time = 0; time < 6; time++) {
    for await (const { rows } of columnsOf(db, query)) {
      expect(rows).toBeGreaterThan(1_000);
      break;
    }
    const walk = columnsOf(db, query)[Symbol.asyncIterator]();
    await walk.return!(); // never begun
    const stop = new AbortController();
    let batches = 0;
    const walked = (async () => {
      for await (const _ of columnsOf(db, { ...query, signal: stop.signal })) {
        batches++;
        stop.abort();
      }
    })();
    await expect(walked).rejects.toThrow();
    expect(batches).toBe(1);
  }
  // Each of them, one after the other, still answers.
  expect((await rowsByColumns(db, query)).length).toBe(MANY);
  // The pool's own work holds one for a moment; one that a walk still held would be held for ever.
  await until(async () => (await db.reader.pool()).active_connections === 0);
  expect(await db.reader.pool()).toMatchObject({ stale_connections: 0 });
}

test("the rows are of one snapshot, whatever is saved while they come", async () => {
  await using db = await open(await postgres.freshSchema());
  await expectSnapshot(db);
});

test("a walk that is given up, or that the signal ends, leaves its connection usable", async () => {
  await using db = await open(await postgres.freshSchema());
  await expectGivenUp(db);
});

test("the signal stops a statement that has given nothing yet", async () => {
  const dbFile = `${await postgres.freshSchema()}&application_name=stopped`;
  await using db = await open(dbFile);
  const schema = new URL(dbFile).searchParams.get("search_path");
  await db.writer.commit([manyTicks(1)]);
  await postgres.admin.begin(async (sql) => {
    await sql.unsafe(`LOCK TABLE ${schema}.realtime_data`);
    const stop = new AbortController();
    const walked = Array.fromAsync(columnsOf(db, { ...everything("ticks"), signal: stop.signal }));
    const waiting = async (): Promise<boolean> => {
      const rows = await postgres.admin.unsafe(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'stopped' AND wait_event_type = 'Lock'",
      );
      return rows.length > 0;
    };
    await until(waiting);
    stop.abort();
    await expect(walked).rejects.toThrow();
    await until(async () => !(await waiting()));
  });
  expect((await rowsByColumns(db, everything("ticks"))).length).toBe(1);
});

const storeColumns = (db: PostgresDatabase, { rows, ...save }: Save): Promise<SaveOutcome> =>
  db.writer.commitColumns({ ...save, batch: batchOfRows(save.kind, rows as SeriesRow[]) });

/** The same save, with another rule. */
const withRule = (save: Save, rule: number): Save =>
  ({
    ...save,
    onDuplicate: [kindOf(save.kind).hasSeq ? "match" : "keep", "replace", "error"][rule % 3],
  }) as Save;

test("saves of columns do what the same saves do as rows, whatever is stored already", async () => {
  await using byRows = await open(await postgres.freshSchema());
  await using byColumns = await open(await postgres.freshSchema());
  for (let seed = 0; seed < 36; seed++) {
    const kind = KIND_NAMES[seed % 3]!;
    const part = KINDS[kind].part === null ? null : "trade";
    // Every other one meets rows of the one before of its kind.
    const random = randomNumbers(seed - (seed % 6 < 3 ? 0 : 3));
    const save = withRule(randomSave(random, { kind, ticker: "A", part, rows: 2_000 }), Math.floor(seed / 6));
    const rows = save.rows as SeriesRow[];
    if (seed % 12 > 8) rows.splice(400, 200);
    // Ticks may come in any order, and without a seq.
    if (kind === "ticks" && seed % 4 === 1) rows.reverse();
    if (kind === "ticks" && seed % 4 === 2) for (const row of rows) row[row.length - 1] = null;
    const update = { saveId: `save ${seed}`, repeated: false, frame: `{"seed":${seed}}` };
    const [expected] = await byRows.writer.commit([{ ...save, update } as Save]);
    expect(await storeColumns(byColumns, { ...save, update } as Save)).toEqual(expected!);
  }
  for (const kind of KIND_NAMES)
    expect(await rowsByRows(byColumns, kind)).toEqual(await rowsByRows(byRows, kind));
  const position = (db: PostgresDatabase) => db.reader.updates.newest("A");
  expect((await position(byColumns))?.position).toBe((await position(byRows))!.position);
});

test("a save of columns is one transaction, and a repetition of it changes nothing", async () => {
  const dbFile = await postgres.freshSchema();
  await using db = await open(dbFile);
  const schema = new URL(dbFile).searchParams.get("search_path");
  const save = manyTicks(20_000);
  const update = { saveId: "one", repeated: false, frame: "{}" };
  expect(await storeColumns(db, { ...save, update })).toMatchObject({
    ok: true,
    stored: 20_000,
    position: 1,
  });
  const repeated = { ...update, repeated: true };
  expect(await storeColumns(db, { ...save, update: repeated })).toMatchObject({
    ok: true,
    stored: 20_000,
    position: 1,
    isRepetition: true,
  });
  await postgres.admin.unsafe(
    `ALTER TABLE ${schema}.realtime_data ADD CONSTRAINT below CHECK (price < 19999) NOT VALID`,
  );
  expect(await storeColumns(db, { ...save, ticker: "B" })).toMatchObject({ ok: false, status: 409 });
  expect(await db.openTransfer().tickers("ticks", null, 9)).toEqual(["A"]);
  const unstorable = { ...save, ticker: "A\0" };
  expect(await storeColumns(db, unstorable)).toMatchObject({ ok: false, status: 400 });
});

test("a save of columns whose connection breaks is done again, also when only its answer was lost", async () => {
  const url = new URL(await postgres.freshSchema());
  using proxy = proxyTo(Number(url.port));
  url.port = String(proxy.port);
  await using db = await open(url.href);
  for (const [index, when] of (["before", "after"] as const).entries()) {
    proxy.cutAt("COMMIT", when);
    const outcome = await storeColumns(db, { ...manyTicks(20_000), ticker: when });
    expect(outcome).toMatchObject({ ok: true, stored: 20_000, position: 1 });
    expect(proxy.cuts).toBe(index + 1);
    expect(await db.reader.updates.newest(when)).toMatchObject({ position: 1 });
  }
});
