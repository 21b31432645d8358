/** Edits that take PostgreSQL long: what they may take, and who waits for them. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Edit } from "../../src/storage/contract.ts";
import { GroupCommit } from "../../src/storage/group-commit.ts";
import { openPostgres } from "../../src/storage/postgres/open.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { at, ticks } from "../support/saves.ts";
import { waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

const removal = (ticker: string): Edit => ({
  what: "removal",
  kind: "ticks",
  ticker,
  part: "trade",
  from: null,
  to: null,
  ids: null,
  dryRun: false,
  identity: { saveId: crypto.randomUUID(), repeated: false },
});

/** Each deletion of ticks lasts as long as the lock is held. */
async function slowDeletions(schema: string): Promise<void> {
  await postgres.admin.unsafe(`
    CREATE FUNCTION ${schema}.wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
    CREATE TRIGGER slow BEFORE DELETE ON ${schema}.realtime_data
      FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.wait()`);
}

test("an edit may take longer than a statement of a save; saves of its ticker wait, others don't", async () => {
  const dbFile = await postgres.freshSchema();
  const statementTimeoutMs = 300;
  await using db = await openPostgres({ dbFile, durability: "full", dbPoolSize: 4, statementTimeoutMs });
  const commits = new GroupCommit(db.writer);
  await commits.save(ticks("A", [[at(1), 1]]), 1);
  await slowDeletions(schemaOf(dbFile));
  const holder = await postgres.admin.reserve();
  try {
    await holder.unsafe("SET lock_timeout = 0; SELECT pg_advisory_lock(4711)");
    const edited = commits.edit(removal("A"));
    await waitUntil("the deletion waits", async () => {
      const [row] = await postgres.admin.unsafe(
        "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted",
      );
      return row.n > 0;
    });
    let isSaved = false;
    const sameTicker = commits.save(ticks("A", [[at(2), 2]]), 1).then((outcome) => {
      isSaved = true;
      return outcome;
    });
    for (let i = 0; i < 5; i++) {
      const others = ["B", "C"].map((ticker) => commits.save(ticks(ticker, [[at(i), i]]), 1));
      for (const outcome of await Promise.all(others)) expect(outcome).toMatchObject({ ok: true, stored: 1 });
    }
    // More than the client of the database would wait for a statement of a save.
    await Bun.sleep(statementTimeoutMs + 2_500);
    expect(isSaved).toBe(false);
    await holder.unsafe("SELECT pg_advisory_unlock(4711)");
    expect(await edited).toMatchObject({ ok: true, rows: 1, position: 2 });
    expect(await sameTicker).toMatchObject({ ok: true, stored: 1, position: 3 });
    await commits.idle();
  } finally {
    await holder.unsafe("SELECT pg_advisory_unlock_all()");
    holder.release();
  }
});
