/**
 * Bytes that a tick takes on the disk: stored as an import stores it, whose update has no content,
 * and saved one by one, each with its frame in the update log. Of trades with a price and a size.
 */
import { rmSync, statSync } from "node:fs";
import { SQL } from "bun";
import type { Save } from "../../src/storage/contract.ts";
import { describeDatabase } from "../../src/storage/engines.ts";
import type { EngineName } from "../../test/support/flags.ts";
import { tickBatches } from "../column-data.ts";
import { openDatabases } from "../engine-databases.ts";
import type { BenchContext, Fact, Scenario, ScenarioReport } from "../scenario.ts";

const LABELS: Record<EngineName, string> = { sqlite: "SQLite", duckdb: "DuckDB", postgres: "PostgreSQL" };
const LOGGED = 100_000;
/** One commit, as many as a busy hub gathers. */
const SAVES_AT_ONCE = 500;
/** Nothing is taken out of the log while it is measured. */
const LOG_BYTES = 2 ** 33;

export const disk: Scenario = { key: "disk", optIn: true, run: measureDisk };

async function measureDisk(context: BenchContext): Promise<ScenarioReport> {
  const facts: Fact[] = [];
  for (const engine of context.engines) {
    const databases = await openDatabases(engine, context.folder);
    try {
      context.progress(`${engine}: bytes a tick`);
      const empty = await bytesAfter(await databases.create("disk-empty"), async () => 0);
      const imported = await bytesAfter(await databases.create("disk-imported"), storeAsImport);
      const logged = await bytesAfter(await databases.create("disk-logged"), saveOneByOne);
      const fact = (what: string, { bytes, ticks }: Filled): Fact => ({
        name: `${LABELS[engine]}: a tick ${what}`,
        unit: "B",
        values: [(bytes - empty.bytes) / ticks],
        max: null,
      });
      facts.push(fact("that was imported", imported), fact("saved alone, with the update log", logged));
    } finally {
      await databases.close();
    }
  }
  return { comparisons: [], facts, python: [], invalid: [] };
}

type Writer = Awaited<
  ReturnType<NonNullable<ReturnType<typeof describeDatabase>["engine"]["open"]>>
>["writer"];

interface Filled {
  bytes: number;
  ticks: number;
}

/** @param store gives the number of ticks that it has stored. */
async function bytesAfter(file: string, store: (writer: Writer) => Promise<number>): Promise<Filled> {
  const { engine } = describeDatabase(file);
  const { writer, close } = await engine.open!({
    dbFile: file,
    durability: "normal",
    updateLogBytes: LOG_BYTES,
  });
  const ticks = await store(writer);
  while ((await writer.tidy?.()) === true);
  await close();
  const bytes = file.includes("://") ? await databaseBytes(file) : statSync(file).size;
  for (const ending of ["", "-wal", "-shm", ".wal", ".epoch"]) rmSync(`${file}${ending}`, { force: true });
  return { bytes, ticks };
}

async function databaseBytes(url: string): Promise<number> {
  const sql = new SQL(url, { max: 1 });
  const [row] = await sql`select pg_database_size(current_database())::float8 as bytes`;
  await sql.close({ timeout: 0 });
  return row.bytes;
}

async function storeAsImport(writer: Writer): Promise<number> {
  let ticks = 0;
  for (const { ticker, batch } of tickBatches()) {
    const save = { kind: "ticks", ticker, part: "trade", onDuplicate: "append", batch } as const;
    const outcome = await writer.commitColumns!(save);
    if (outcome.ok) ticks += outcome.stored;
  }
  return ticks;
}

async function saveOneByOne(writer: Writer): Promise<number> {
  let ticks = 0;
  const saves = savesOf(LOGGED);
  for (let at = 0; at < saves.length; at += SAVES_AT_ONCE) {
    let waiting = saves.slice(at, at + SAVES_AT_ONCE);
    while (waiting.length > 0) {
      const outcomes = await writer.commit(waiting);
      for (const outcome of outcomes) if (outcome?.ok) ticks += outcome.stored;
      // A transaction has a bound; the rest is for the next one.
      waiting = waiting.filter((_, index) => (outcomes[index] ?? null) === null);
    }
  }
  return ticks;
}

function savesOf(count: number): Save[] {
  const saves: Save[] = [];
  for (const { ticker, batch, stampTexts, prices, sizes } of tickBatches()) {
    for (let row = 0; row < batch.rows && saves.length < count; row++) {
      const stamp = stampTexts[row]!;
      const record = {
        timestamp: `${stamp.replace(" ", "T")}Z`,
        price: prices[row]!,
        size: Number(sizes[row]!),
      };
      saves.push({
        kind: "ticks",
        ticker,
        part: "trade",
        rows: [[stamp, record.price, record.size, null, null, null, null, null]],
        onDuplicate: "match",
        update: {
          saveId: `disk-${saves.length}`,
          repeated: false,
          frame: JSON.stringify({ type: "trade", ticker, data: [record] }),
        },
      });
    }
  }
  return saves;
}
