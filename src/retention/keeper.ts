/**
 * Removes rows that have become older than `--retain` says, a little at a time. Whole days go, by
 * the rows' own time in UTC. Nobody is told: what an update says holds for rows of its time.
 */
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { type RollupDatabase, saveNote } from "../rollups/rollup-database.ts";
import type { RollupSeries } from "../rollups/rules.ts";
import { DAY_MICROS, dayOf } from "../rollups/spans.ts";
import type { Archive } from "../storage/archive/archive.ts";
import { ARCHIVE_NOTE } from "../storage/archive/archive-identity.ts";
import type { InodeLock } from "../storage/inode-lock.ts";
import type { KindName } from "../storage/model/kinds.ts";
import { backoffMs, sleep } from "../time/pauses.ts";
import { archiveAndRemove } from "./archived-removal.ts";
import { type FirstRow, firstRow, lastBefore } from "./first-row.ts";
import { type KeptRows, ruleFor } from "./read-rules.ts";
import { mayRemoveTrades } from "./rolled-up-trades.ts";
import { nextStep, PAUSE_MS, STEP_MICROS_FIRST } from "./step-length.ts";

/** After the start, and between two rounds. */
const FIRST_ROUND_MS = 1_000;
const ROUND_MS = 600_000;
/** Where trades have to wait, another round comes sooner, each time twice as late. */
const WAITING = { firstMs: 5_000, maxMs: ROUND_MS };
/** What roll-ups are made of. */
const TRADE = "trade";

export interface KeeperOptions {
  db: RollupDatabase;
  rules: readonly KeptRows[];
  /** Where rows are written before they are removed; null: nowhere. */
  archive: Archive | null;
  /** The roll-ups of a ticker; null: this process doesn't know them yet. */
  rollupsOf(ticker: string): readonly RollupSeries[] | null;
  log: Pick<LogLines, "info" | "warning">;
}

interface Round {
  removed: Map<string, number>;
  /** Tickers whose trades stay until their roll-ups are made. */
  waiting: Set<string>;
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
    for (let waited = 0; !signal.aborted; ) {
      const isWaiting = await this.#lookOnce();
      await sleep(isWaiting ? backoffMs(WAITING, waited) : ROUND_MS, signal);
      waited = isWaiting ? waited + 1 : 0;
    }
  }

  /** @returns whether something has to wait. */
  async #lookOnce(): Promise<boolean> {
    const { rules, archive, db } = this.#options;
    let lock: InodeLock | null = null;
    let isWaiting = false;
    try {
      await archive?.identity.claim((note) => saveNote(db, ARCHIVE_NOTE, note));
      lock = archive?.files.lock() ?? null;
      // The database may be away, or busy: the next round finds what is left.
      for (const kind of new Set(rules.map((rule) => rule.kind)))
        if (await this.#removeOld(kind).catch((error) => this.#warn(kind, error))) isWaiting = true;
    } catch (error) {
      this.#warn("nothing is removed", error);
    } finally {
      lock?.release();
    }
    return isWaiting;
  }

  #warn(of: string, error: unknown): false {
    if (!this.#stop.signal.aborted) this.#options.log.warning(`Retention: ${of}: ${messageOf(error)}`);
    return false;
  }

  /** Of all series in turn. @returns whether some of it has to wait. */
  async #removeOld(kind: KindName): Promise<boolean> {
    const { db, rules, log } = this.#options;
    const { signal } = this.#stop;
    const today = dayOf(Date.now() * 1_000);
    const days = rules.filter((rule) => rule.kind === kind).map((rule) => rule.days);
    const to = lastBefore(kind, today - Math.min(...days) * DAY_MICROS);
    const { removed, waiting }: Round = { removed: new Map(), waiting: new Set() };
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
        const isDone = await this.#removeSeries(kind, found, today - rule.days * DAY_MICROS, (rows) =>
          removed.set(rule.text, (removed.get(rule.text) ?? 0) + rows),
        );
        if (!isDone) waiting.add(ticker);
      } catch (error) {
        // One that can't be removed keeps no others.
        this.#warn(`${rule.text} of ${ticker}`, error);
      }
    }
    for (const [text, rows] of removed) log.info(`Retention: ${rows} rows removed by ${text}`);
    if (waiting.size > 0)
      log.info(
        `Retention: rows of ${waiting.size} tickers wait: their roll-ups are made first, or they change meanwhile`,
      );
    return waiting.size > 0;
  }

  async #mayRemoveTrades(ticker: string, end: number): Promise<boolean> {
    const { db, rollupsOf } = this.#options;
    const series = rollupsOf(ticker);
    return series !== null && mayRemoveTrades({ db, ticker, series, end });
  }

  /**
   * @param end the begin of the day from which rows are kept. @param done told of each step.
   * @returns false: the rest has to wait.
   */
  async #removeSeries(
    kind: KindName,
    first: FirstRow,
    end: number,
    done: (rows: number) => void,
  ): Promise<boolean> {
    const { db, archive } = this.#options;
    const { signal } = this.#stop;
    const { ticker, part, micros } = first;
    const mayRemove = async (): Promise<boolean> =>
      kind !== "ticks" || part !== TRADE || (await this.#mayRemoveTrades(ticker, end));
    if (archive !== null) return archiveAndRemove({ db, archive, kind, first, end, mayRemove, done, signal });
    const to = lastBefore(kind, end);
    let oldest = micros;
    let stepMicros = STEP_MICROS_FIRST;
    while (!signal.aborted && oldest < end) {
      if (!(await mayRemove())) return false;
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
    return true;
  }
}
