/** A hub of a database, in a process of its own: `column-hub.ts DATABASE FOLDER`. */
import { startHub } from "../src/hub/hub.ts";
import { describeDatabase } from "../src/storage/engines.ts";
import { FEEDS_OF_HUB } from "../test/support/feeds.ts";

const none = (): void => undefined;
const [dbFile, runtimeDir] = process.argv.slice(2) as [string, string];
const database = await describeDatabase(dbFile).engine.open!({ dbFile, durability: "full" });
const { writer, reader, sql } = database;
const hub = startHub({
  feeds: FEEDS_OF_HUB,
  runtimeDir,
  writer,
  database: { reader: reader!, sql: sql!, look: () => void writer.lost?.() },
  log: { debug: none, info: none, warning: none, error: none, critical: none },
  openBus: null,
  leaseTimeoutMs: 60_000,
});
process.on("SIGTERM", async () => {
  await hub.stop();
  await database.close();
  process.exit(0);
});
process.send!("ready");
