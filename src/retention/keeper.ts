/**
 * Removes rows that have become older than `--retain` says, a little at a time. Whole days go, by
 * the rows' own time in UTC. Nobody is told: what an update says holds for rows of its time.
 */
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { RollupSeries } from "../rollups/rules.ts";
import { noteName, noteText, readNote } from "../rollups/ticker-note.ts";
import type { Edit, EditOutcome, NoteChange, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import { sleep } from "../time/pauses.ts";
import { DAY_MICROS, dayOf, type FirstRow, firstRow, lastBefore } from "./first-row.ts";
import { type KeptRows, ruleFor } from "./read-rules.ts";

/** After the start, and between two rounds. */
const FIRST_ROUND_MS = 1_000;
const ROUND_MS = 600_000;
/** A step is made longer or shorter until it removes about so many rows. */
const STEP_ROWS_MIN = 2_000;
const STEP_ROWS_MAX = 20_000;
const STEP_FACTOR = 4;
const STEP_MICROS_MIN = 1_000_000;
const STEP_MICROS_FIRST = 3_600_000_000;
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
  /**
   * The roll-ups of a ticker, which have to be made before its trades may go; null: this process
   * doesn't know them.
   */
  rollupsOf(ticker: string): readonly RollupSeries[] | null;
  log: Pick<LogLines, "info" | "warning">;
}

/** The trades are not what they were read for: another round finds them. */
class Postponed extends Error {}

export class RetentionKeeper {
  readonly #options: KeeperOptions;
  readonly #stop = new AbortController();
  #round: Promise<void> = Promise.resolve();
  #stepMicros = STEP_MICROS_FIRST;

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
          if (!signal.aborted) this.#options.log.warning(`Retention: ${kind}: ${messageOf(error)}`);
        }
      }
      await sleep(ROUND_MS, signal);
    }
  }

  /** Of all series in turn. */
  async #removeOld(kind: KindName): Promise<void> {
    const { db, rules, log } = this.#options;
    const { signal } = this.#stop;
    const today = dayOf(Date.now() * 1_000);
    const days = rules.filter((rule) => rule.kind === kind).map((rule) => rule.days);
    const to = lastBefore(kind, today - Math.min(...days) * DAY_MICROS);
    const removed = new Map<string, number>();
    let behind: FirstRow | null = null;
    while (!signal.aborted) {
      const found: FirstRow | null = await firstRow({
        ...{ columns: db.columns, kind, ticker: null, part: null, to, behind, signal },
      });
      if (found === null) break;
      behind = found;
      const rule = ruleFor(rules, { kind, ...found });
      if (rule === undefined) continue;
      const end = today - rule.days * DAY_MICROS;
      const rows = await this.#removeSeries(kind, found, end);
      if (rows > 0) removed.set(rule.text, (removed.get(rule.text) ?? 0) + rows);
    }
    for (const [text, rows] of removed) log.info(`Retention: ${rows} rows removed by ${text}`);
  }

  /** @param end the begin of the day from which rows are kept. @returns how many it has removed. */
  async #removeSeries(kind: KindName, { ticker, part, micros }: FirstRow, end: number): Promise<number> {
    const { db } = this.#options;
    const { signal } = this.#stop;
    const to = lastBefore(kind, end);
    const isRolledUp = kind === "ticks" && part === TRADE;
    let oldest = micros;
    let removed = 0;
    try {
      while (!signal.aborted && oldest < end) {
        const began = performance.now();
        const until = Math.min(end, oldest + this.#stepMicros);
        const note = isRolledUp ? await this.#noteOf(ticker, end) : undefined;
        const outcome = await db.edit({
          ...{ what: "removal", kind, ticker, part, from: null, to: lastBefore(kind, until), ids: null },
          ...{ dryRun: false, isAgeing: true, identity: { saveId: "", repeated: false }, note },
        });
        if (!outcome.ok && outcome.noteMoved) continue;
        if (!outcome.ok) throw new Error(`${ticker}: ${outcome.error}`);
        removed += outcome.rows;
        this.#adapt(outcome.rows);
        await sleep(Math.max(PAUSE_MS, performance.now() - began), signal);
        const next = await firstRow({ columns: db.columns, kind, ticker, part, to, behind: null, signal });
        oldest = next?.micros ?? end;
      }
    } catch (error) {
      if (!(error instanceof Postponed)) throw error;
    }
    return removed;
  }

  #adapt(rows: number): void {
    if (rows > STEP_ROWS_MAX) this.#stepMicros = Math.max(STEP_MICROS_MIN, this.#stepMicros / STEP_FACTOR);
    else if (rows < STEP_ROWS_MIN) this.#stepMicros = Math.min(DAY_MICROS, this.#stepMicros * STEP_FACTOR);
  }

  /**
   * Tells the roll-ups of the ticker, in the transaction that removes trades, that bars of then are
   * not to be made anew: what they have read before is refused.
   *
   * @returns undefined: it is told, or there are none.
   * @throws Postponed Bars of then have yet to be made.
   */
  async #noteOf(ticker: string, end: number): Promise<NoteChange | undefined> {
    const { db, rollupsOf } = this.#options;
    const series = rollupsOf(ticker);
    if (series === null) throw new Postponed();
    const name = noteName(ticker);
    const [stored] = await db.reader.notes(name, name, 1);
    const text = stored?.[1] ?? null;
    const note = readNote(text);
    if (note === null) {
      if (series.length > 0) throw new Postponed();
      return undefined;
    }
    const isMade =
      series.every(({ label }) => note.intervals.includes(label)) &&
      note.todo.every(({ from }) => from >= end || (note.agedTo !== null && note.agedTo >= end));
    if (series.length > 0 && !isMade) throw new Postponed();
    if (note.agedTo !== null && note.agedTo >= end) return undefined;
    return { name, from: text, to: noteText({ ...note, step: note.step + 1, agedTo: end }) };
  }
}
