/**
 * Saves of one worker that go together: in order within a ticker, and none held up by another
 * ticker's lock.
 */

import { expect, test } from "bun:test";
import type { SaveRows } from "../../src/storage/contract.ts";
import { GroupCommit } from "../../src/storage/group-commit.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { lockSql } from "../../src/storage/postgres/ticker-locks.ts";
import { usePostgres } from "../support/postgres.ts";
import { daily, logged } from "../support/saves.ts";
import { newestOf } from "../support/snapshots.ts";

const TIMEOUT_MS = 240_000;
const TICKERS = 5;
const SAVES = 400;

const postgres = usePostgres();

async function open(): Promise<PostgresDatabase> {
  return await openPostgres({ dbFile: await postgres.freshSchema(), durability: "full", dbPoolSize: 3 });
}

const bar = (ticker: string, close: number): SaveRows =>
  daily(ticker, [["2024-01-02", close]], "replace", logged(`${ticker}-${close}`, String(close)));

/** The first save of a series stores its bar; the others replace it. */
const changed = (save: number) => (save === 1 ? { stored: 1 } : { stored: 0, replaced: 1 });

test(
  "a ticker whose lock somebody holds doesn't hold up the others, and keeps its order",
  async () => {
    await using db = await open();
    const commits = new GroupCommit(db.writer);
    const holder = await postgres.admin.reserve();
    await holder.unsafe("BEGIN");
    await holder.unsafe(lockSql(["HELD"]));
    const held: Promise<unknown>[] = [commits.save(bar("HELD", 1), 100)];
    // What goes into one batch with it waits with it.
    while ((await db.reader.pool()).active_connections === 0) await Bun.sleep(1);
    for (let round = 1; round <= 20; round++) {
      held.push(commits.save(bar("HELD", round + 1), 100));
      const others = ["A", "B"].map((ticker) => commits.save(bar(ticker, round), 100));
      expect(await Promise.all(others)).toMatchObject(
        [1, 2].map(() => ({ ok: true, ...changed(round), position: expect.any(Number) })),
      );
    }
    await holder.unsafe("ROLLBACK");
    holder.release();
    expect(await Promise.all(held)).toMatchObject(
      held.map((_, index) => ({ ok: true, ...changed(index + 1), position: index + 1 })),
    );
    await commits.idle();
    expect(newestOf(await db.reader.updates.snapshot("HELD"), "daily")?.[4]).toBe(21);
  },
  TIMEOUT_MS,
);

test(
  "saves of a ticker get their positions in the order in which they were given",
  async () => {
    await using db = await open();
    const commits = new GroupCommit(db.writer);
    const saves: Promise<unknown>[] = [];
    for (let n = 0; n < SAVES; n++) {
      saves.push(commits.save(bar(`T${n % TICKERS}`, n), 100));
      if (n % 7 === 0) await Bun.sleep(n % 3);
    }
    await commits.idle();
    expect(await Promise.all(saves)).toMatchObject(
      saves.map((_, n) => {
        const position = Math.floor(n / TICKERS) + 1;
        return { ok: true, ...changed(position), position };
      }),
    );
  },
  TIMEOUT_MS,
);
