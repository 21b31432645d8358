/**
 * Locks that a session outside holds: saves say so within a bound, and go on when they are given
 * up.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import { openPostgres } from "../../src/storage/postgres/open.ts";
import { LOCK_CLASS } from "../../src/storage/postgres/schema.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { at, ticks } from "../support/saves.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

const tick = (ticker: string): SaveTicks => ticks(ticker, [[at(0), 1]]);

const HOLDS: [name: string, take: string, give: string][] = [
  [
    "all ticker locks of the session",
    `SELECT count(pg_advisory_lock(${LOCK_CLASS}, n)::text) FROM generate_series(1, 1024) n`,
    "SELECT pg_advisory_unlock_all()",
  ],
  ["a table", "BEGIN; LOCK TABLE SCHEMA.realtime_data IN SHARE MODE", "ROLLBACK"],
];

test.each(HOLDS)("%s", async (_, take, give) => {
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  const told: string[] = [];
  await using db = await openPostgres({
    dbFile,
    durability: "full",
    dbPoolSize: 4,
    onBlocked: (reason) => told.push(reason),
  });
  const holder = await postgres.admin.reserve();
  try {
    await holder.unsafe("SET application_name = 'forgetful'");
    await holder.unsafe(take.replace("SCHEMA", schema));
    for (let i = 0; i < 2; i++) {
      await expect(db.writer.commit([tick("A")])).rejects.toMatchObject({
        status: 503,
        message: "save: another session holds a lock on it for longer than 5 s",
        details: expect.stringContaining("forgetful"),
      });
    }
    // Reads don't wait, and the log isn't filled.
    await db.reader.probe();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("forgetful");
    await holder.unsafe(give);
    expect(await db.writer.commit([tick("A")])).toMatchObject([{ ok: true, stored: 1 }]);
  } finally {
    await holder.unsafe(give);
    holder.release();
  }
});
