/**
 * Removes rows that have become older than `--retain` says, a little at a time. Whole days go, by
 * the rows' own time in UTC. Nobody is told: what an update says holds for rows of its time.
 */
import { noteName } from "../market/rollup-note.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { RollupSeries } from "../rollups/rules.ts";
import { DAY_MICROS, dayOf } from "../rollups/spans.ts";
import type { Edit, EditOutcome, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import { sleep } from "../time/pauses.ts";
import { type FirstRow, firstRow, lastBefore } from "./first-row.ts";
import { type KeptRows, ruleFor } from "./read-rules.ts";

/** After the start, and between two rounds. */
const FIRST_ROUND_MS = 1_000;
const ROUND_MS = 600_000;
/** A step is made longer or shorter until it removes about so many rows. */
const STEP_ROWS_MIN = 2_000;
const STEP_ROWS_MAX = 20_000;
const STEP_FACTOR = 4;
const STEP_MICROS_MIN = 1_000_000;
/** An hour of a ticker may be a million ticks. */
const STEP_MICROS_FIRST = 60_000_000;
/** Between two steps, and at least as long as the step has taken. */
const PAUSE_MS = 5;
/** What roll-ups are made of. */
const TRADE = "trade";

interface RetentionDatabase {
  readonly reader: Pick<StockReader, "notes">;
  columns(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  edit(edit: Edit): Promise<EditOutcome>;
}

export interface KeeperOptions {
  db: RetentionDatabase;
  rules: readonly KeptRows[];
  /** The roll-ups of a ticker; null: this process doesn't know them yet. */
  rollupsOf(ticker: string): readonly RollupSeries[] | null;
  log: Pick<LogLines, "info" | "warning">;
}

interface Round {
  removed: Map<string, number>;
  /** Tickers whose trades stay, as roll-ups are made of them. */
  rolledUp: Set<string>;
}

export class RetentionKeeper {
  readonly #options: KeeperOptions;
  readonly #stop = new AbortController();
  #round: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#round = this.#goOn();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#round;
  }

  async #goOn(): Promise<void> {
    const { signal } = this.#stop;
    await sleep(FIRST_ROUND_MS, signal);
    while (!signal.aborted) {
      for (const kind of new Set(this.#options.rules.map((rule) => rule.kind))) {
        try {
          await this.#removeOld(kind);
        } catch (error) {
          // The database may be away, or busy: the next round finds what is left.
          this.#warn(kind, error);
        }
      }
      await sleep(ROUND_MS, signal);
    }
  }

  #warn(of: string, error: unknown): void {
    if (!this.#stop.signal.aborted) this.#options.log.warning(`Retention: ${of}: ${messageOf(error)}`);
  }

  /** Of all series in turn. */
  async #removeOld(kind: KindName): Promise<void> {
    const { db, rules, log } = this.#options;
    const { signal } = this.#stop;
    const today = dayOf(Date.now() * 1_000);
    const days = rules.filter((rule) => rule.kind === kind).map((rule) => rule.days);
    const to = lastBefore(kind, today - Math.min(...days) * DAY_MICROS);
    const { removed, rolledUp }: Round = { removed: new Map(), rolledUp: new Set() };
    let behind: FirstRow | null = null;
    while (!signal.aborted) {
      const found: FirstRow | null = await firstRow({
        ...{ columns: db.columns, kind, ticker: null, part: null, to, behind, signal },
      });
      if (found === null) break;
      behind = found;
      const { ticker, part } = found;
      const rule = ruleFor(rules, { kind, ticker, part });
      if (rule === undefined) continue;
      try {
        if (kind === "ticks" && part === TRADE && (await this.#isRolledUp(ticker))) rolledUp.add(ticker);
        else
          await this.#removeSeries(kind, found, today - rule.days * DAY_MICROS, (rows) =>
            removed.set(rule.text, (removed.get(rule.text) ?? 0) + rows),
          );
      } catch (error) {
        // One that can't be removed keeps no others.
        this.#warn(`${rule.text} of ${ticker}`, error);
      }
    }
    for (const [text, rows] of removed) log.info(`Retention: ${rows} rows removed by ${text}`);
    if (rolledUp.size > 0)
      log.info(`Retention: trades of ${rolledUp.size} tickers stay, as roll-ups are made of them`);
  }

  /**
   * Roll-ups are made anew from trades, by what they know of a ticker: its old bars would go with
   * its trades.
   */
  async #isRolledUp(ticker: string): Promise<boolean> {
    const { db, rollupsOf } = this.#options;
    const series = rollupsOf(ticker);
    if (series === null || series.length > 0) return true;
    // They were made before, or are by another server.
    const name = noteName(ticker);
    return (await db.reader.notes(name, name, 1)).length > 0;
  }

  /** @param end the begin of the day from which rows are kept. @param done told of each step. */
  async #removeSeries(
    kind: KindName,
    { ticker, part, micros }: FirstRow,
    end: number,
    done: (rows: number) => void,
  ): Promise<void> {
    const { db } = this.#options;
    const { signal } = this.#stop;
    const to = lastBefore(kind, end);
    let oldest = micros;
    let stepMicros = STEP_MICROS_FIRST;
    while (!signal.aborted && oldest < end) {
      const began = performance.now();
      const until = Math.min(end, oldest + stepMicros);
      const outcome = await db.edit({
        ...{ what: "removal", kind, ticker, part, from: null, to: lastBefore(kind, until), ids: null },
        ...{ dryRun: false, isAgeing: true, identity: { saveId: "", repeated: false } },
      });
      if (!outcome.ok) throw new Error(outcome.error);
      done(outcome.rows);
      stepMicros = nextStep(stepMicros, outcome.rows);
      await sleep(Math.max(PAUSE_MS, performance.now() - began), signal);
      const next = await firstRow({ columns: db.columns, kind, ticker, part, to, behind: null, signal });
      oldest = next?.micros ?? end;
    }
  }
}

function nextStep(micros: number, rows: number): number {
  if (rows > STEP_ROWS_MAX) return Math.max(STEP_MICROS_MIN, micros / STEP_FACTOR);
  return rows < STEP_ROWS_MIN ? Math.min(DAY_MICROS, micros * STEP_FACTOR) : micros;
}
