/** A process that dies under load has lost nothing that it answered. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import { tempDir } from "../support/temp-dir.ts";

const KILLS = 5;
const DEADLINE_MS = 60_000;

test(`killed ${KILLS} times while it saves: reopened, every answered save is there, once`, async () => {
  using dir = tempDir();
  const path = join(dir.path, "test.duckdb");
  let answered = 1;
  for (let kill = 1; kill <= KILLS; kill++) {
    await using child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../fixtures/duckdb-saver.ts"), path, String(answered)],
      { stdout: "pipe", stderr: "inherit" },
    );
    const numbers = new Numbers(child.stdout);
    await numbers.readUntil(answered + 200 + kill * 337);
    child.kill("SIGKILL");
    await numbers.readUntil(Number.POSITIVE_INFINITY);
    answered = numbers.last;
    expect(await child.exited).toBe(137);
  }
  const db = await openDuckDb({ path, memoryLimitMb: 256, threads: 2, onFatal() {} });
  try {
    const request = {
      sql: "SELECT price::BIGINT AS n, count(*) AS times FROM realtime_data GROUP BY n ORDER BY n",
      params: [],
      mode: "read" as const,
      maxRows: 10_000_000,
    };
    const outcome = await db.sql.run(request, { timeoutMs: DEADLINE_MS });
    if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
    const rows = JSON.parse(Buffer.concat(outcome.parts).toString()) as { n: number; times: number }[];
    expect(rows.filter(({ times }) => times !== 1)).toEqual([]);
    const stored = new Set(rows.map(({ n }) => n));
    const missing: number[] = [];
    for (let n = 1; n < answered; n++) if (n % 50 !== 0 && !stored.has(n)) missing.push(n);
    expect(missing).toEqual([]);
    expect(answered).toBeGreaterThan(KILLS * 200);

    // Each save is one update, at a position without holes; a save whose answer the kill took may
    // be there too.
    const positions = await db.reader.updates.positions(null);
    const told = new Set<number>();
    for (const [ticker, position] of positions) {
      const limit = { updates: 1_000_000, characters: 1_000_000_000 };
      const updates = await db.reader.updates.after(ticker, 0, limit);
      expect(updates.map(({ position }) => position)).toEqual(
        Array.from({ length: position }, (_, i) => i + 1),
      );
      for (const { frame } of updates) told.add((JSON.parse(frame) as { n: number }).n);
    }
    const untold: number[] = [];
    for (let n = 1; n < answered; n++) if (!told.has(n)) untold.push(n);
    expect(untold).toEqual([]);
  } finally {
    await db.close();
  }
}, 240_000);

/** What a child prints: numbers, one a line. */
class Numbers {
  last = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Until the last is at least `target`, or the output ends. */
  async readUntil(target: number): Promise<void> {
    while (this.last < target) {
      const { value, done } = await this.#chunks.next();
      if (done) return;
      const lines = (this.#rest + this.#decoder.decode(value)).split("\n");
      this.#rest = lines.pop()!;
      if (lines.length > 0) this.last = Number(lines.at(-1));
    }
  }
}
