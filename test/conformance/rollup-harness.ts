/** A database with what makes its roll-ups: it is told of updates, or not, and may break off. */
import { expect } from "bun:test";
import { stampOfMicros } from "../../src/market/stamp-micros.ts";
import { realtimeFrame } from "../../src/protocol/frames.ts";
import { Roller } from "../../src/rollups/roller.ts";
import type { RollupDatabase } from "../../src/rollups/rollup-database.ts";
import { commitBatch } from "../../src/storage/column-saves.ts";
import type { Edit, Save, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import { rowColumnNames } from "../../src/storage/model/columns.ts";
import { type Update, updateOf } from "../../src/storage/update-contract.ts";
import { batchOfRows } from "../support/column-batches.ts";
import type { OpenDatabase } from "./drivers.ts";

export const INTERVALS = ["1min", "8min", "1hour"];
export const TICKERS = ["A", "B", "é x"];
export const START = Date.parse("2024-01-02T10:00:00Z") * 1_000;
export const MINUTE = 60_000_000;

/** Ends of a process at any moment: before a write, after it, and between two batches. */
class Broken extends Error {}

export class Harness implements AsyncDisposable {
  readonly #db: OpenDatabase;
  readonly #random: () => number;
  readonly #breakRate: number;
  readonly rollers: Roller[] = [];
  /** What the rollers have warned of. */
  readonly warnings: string[] = [];
  /** Of each ticker that of what was saved or edited last, but by a roller. */
  readonly positions = new Map<string, number>();
  #saveId = 0;

  constructor(db: OpenDatabase, random: () => number, breakRate: number) {
    this.#db = db;
    this.#random = random;
    this.#breakRate = breakRate;
  }

  /** As what makes roll-ups sees it. */
  get database(): RollupDatabase {
    return this.#database(0);
  }

  /** One more that makes roll-ups; those before go on, as they would for a moment. */
  startRoller({ breaks = true, intervals = INTERVALS, tickers = "*" } = {}): Roller {
    const roller = new Roller({
      db: this.#database(breaks ? this.#breakRate : 0),
      rules: [{ tickers, intervals }],
      isShared: false,
      log: { info() {}, warning: (message) => void this.warnings.push(message) },
      listen: async () => {},
    });
    roller.start();
    this.rollers.push(roller);
    return roller;
  }

  /** @param content false: as rows of a copy. @param isHeard whether a roller is told of it. */
  async save(save: Save, { content = true, isHeard = true } = {}): Promise<void> {
    const { ticker } = save;
    const frame =
      save.kind !== "ticks"
        ? `{"symbol":"${ticker}","data":[]}`
        : realtimeFrame(
            ticker,
            save.part,
            save.rows.map(([timestamp, price]) => ({ timestamp, price })),
            "timestamp",
          );
    if (content) save.update = { saveId: `test-${this.#saveId++}`, repeated: false, frame };
    const [outcome] = await commitBatch(this.#db.writer, [save]);
    if (!outcome?.ok) throw new Error(JSON.stringify(outcome));
    if (outcome.position !== null) this.positions.set(ticker, outcome.position);
    const update = updateOf(save, outcome);
    if (update !== null && isHeard) this.#tell(ticker, update);
  }

  async edit(edit: Omit<Edit, "dryRun" | "identity">, { isHeard = true } = {}): Promise<void> {
    const identity = { saveId: `test-${this.#saveId++}`, repeated: false };
    const outcome = await this.#db.writer.edit({ ...edit, dryRun: false, identity } as Edit);
    if (!outcome.ok) return;
    for (const { ticker, update } of outcome.updates) {
      this.positions.set(ticker, update.position);
      if (isHeard) this.#tell(ticker, update);
    }
  }

  /** At once, or so late that its rows have been read meanwhile. */
  #tell(ticker: string, update: Update): void {
    const tell = (): void => this.rollers.forEach((roller) => void roller.hear(ticker, update));
    if (this.#random() < 0.5) tell();
    else setTimeout(tell, this.#random() * 400);
  }

  async stopAll(): Promise<void> {
    for (const roller of this.rollers.splice(0)) await roller.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stopAll();
  }

  #database(breakRate: number): RollupDatabase {
    const { writer, reader } = this.#db;
    /** As a worker's saves, they are committed one after the other. */
    let last: Promise<unknown> = Promise.resolve();
    const mayBreak = (): void => {
      if (this.#random() < breakRate) throw new Broken();
    };
    return {
      reader,
      columns: (query) => {
        const batches = reader.columns(query);
        return (async function* () {
          for await (const batch of batches) {
            mayBreak();
            yield batch;
          }
          mayBreak();
        })();
      },
      save(save) {
        const saved = last.then(async () => {
          mayBreak();
          const [outcome] = await writer.commit([save]);
          mayBreak();
          return outcome!;
        });
        last = saved.catch(() => null);
        return saved;
      },
      async edit(edit) {
        mayBreak();
        const outcome = await writer.edit(edit);
        mayBreak();
        return outcome;
      },
    };
  }
}

/** Trades of a ticker, as feeds send them and correct them. */
export function randomRound(
  random: () => number,
  now: number,
  { isHeard, areBarsDeleted = true }: { isHeard: boolean; areBarsDeleted?: boolean },
) {
  const whole = (max: number): number => Math.floor(random() * max);
  const ticker = TICKERS[whole(TICKERS.length)]!;
  const trade = (micros: number, id: string | null = null): TickRow => {
    const size = random() < 0.1 ? null : random() < 0.1 ? whole(100) / 8 : 1 + whole(500);
    const price = random() < 0.05 ? null : 100 + whole(1_000) / 64;
    return [stampOfMicros(micros), price, size, null, null, id, null, null];
  };
  const trades = (rows: TickRow[], more: Partial<SaveTicks> = {}): SaveTicks => ({
    ...({ kind: "ticks", ticker, part: "trade", onDuplicate: "match" } as const),
    rows: rows.sort(([a], [b]) => (a < b ? -1 : 1)),
    ...more,
  });
  const late = (): number => now - whole(90) * MINUTE - whole(MINUTE);
  return async (harness: Harness): Promise<void> => {
    const dice = random();
    if (dice < 0.4) return harness.save(trades([trade(now), trade(now + whole(3_000_000))]), { isHeard });
    if (dice < 0.5) return harness.save(trades([trade(late())]), { isHeard });
    // A correction, of a few ids that come again and again.
    if (dice < 0.6) {
      const n = whole(20);
      return harness.save(trades([trade(START + n * 7 * MINUTE, `id-${n}`)]), { isHeard });
    }
    if (dice < 0.65)
      return harness.save(trades([trade(late()), trade(late()), trade(now)]), { content: false });
    if (dice < 0.7) return harness.save(trades([trade(now)], { part: "quote" }), { isHeard });
    if (dice < 0.8) {
      const rows = Array.from({ length: 50 }, (_, i) => trade(now + i * 1_000_000));
      const batch = batchOfRows("ticks", rows);
      expect([...batch.columns.keys()]).toEqual(rowColumnNames("ticks"));
      return harness.save({ ...trades(rows), columns: batch }, { isHeard });
    }
    const range = { kind: "ticks", ticker, part: random() < 0.5 ? "trade" : null } as const;
    if (dice < 0.9) {
      const from = late();
      const to = from + whole(10) * MINUTE;
      const stamps = { from: stampOfMicros(from), to: stampOfMicros(to) };
      return harness.edit({ what: "removal", ...range, ...stamps, ids: null } as never, { isHeard });
    }
    if (dice < 0.92)
      return harness.edit({ what: "removal", ...range, from: null, to: null, ids: null } as never);
    if (dice < 0.94) {
      // There and back, so that the tickers stay the same.
      await harness.edit({ what: "renaming", ticker, newTicker: "other" } as never, { isHeard });
      return harness.edit({ what: "renaming", ticker: "other", newTicker: ticker } as never, { isHeard });
    }
    if (!areBarsDeleted) return;
    // Bars that a roll-up has made come back.
    const bars = { kind: "interval", ticker, part: "1min", from: null, to: null, ids: null } as const;
    return harness.edit({ what: "removal", ...bars } as never, { isHeard });
  };
}
