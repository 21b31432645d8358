/**
 * Keeps the roll-ups of all tickers up to date: hears which have updates, and makes their bars a
 * moment later, a few tickers at a time. What isn't heard is found by their positions.
 */
import { randomBytes } from "node:crypto";
import { TICKER_NOTES, tickerOfNote } from "../market/rollup-note.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Update } from "../storage/update-contract.ts";
import { Holder } from "./holder.ts";
import type { RollupDatabase } from "./rollup-database.ts";
import { type RollupRule, RollupRules, type RollupSeries, RULES_NOTE, readRules } from "./rules.ts";
import { isKnownNote, readNote } from "./ticker-note.ts";
import { TickerRollup } from "./ticker-rollup.ts";
import { RollupRefusedError } from "./write-changes.ts";

/** Steps of different tickers at once. */
const STEPS_MAX = 4;
/** Between two steps of a ticker: what comes meanwhile is one change of its bars. */
const PAUSE_MS = 500;
/** Of a ticker whose step has failed. */
const RETRY_MS = 2_000;
/** A part of the backlog is followed by a pause of this part of its time. */
const BACKLOG_PAUSE = 1;
/** Looks at rules and positions. */
const LOOK_MS = 1_000;
/** Comparing the positions of all tickers takes at most one in so much of the time. */
const LOOK_SHARE = 20;
/** Tickers with roll-ups; of further ones there are none. */
const ROLLUP_TICKERS_MAX = 100_000;
/** Tickers whose newest bars are kept open in memory, some kB each. */
const TAILS_MAX = 10_000;
/** A ticker is forgotten when it has been done for so long. */
const IDLE_MS = 60_000;
const NOTES_AT_ONCE = 1_000;
const TURN_TICKERS = 2_000;
const TOLD_PAUSE_MS = 60_000;
const DAY_LENGTH = "2024-01-02".length;

export interface RollerOptions {
  db: RollupDatabase;
  /** Those of the setting. */
  rules: readonly RollupRule[];
  /** Several servers may share the database. */
  isShared: boolean;
  log: Pick<LogLines, "info" | "warning">;
  /** Hears of the updates of all tickers from now on, or no longer. @throws as `UpdateSource`. */
  listen(isOn: boolean): Promise<void>;
}

interface Tracked {
  rollup: TickerRollup;
  /** On the clock of performance.now(). */
  nextAtMs: number;
  doneSinceMs: number | null;
  isRunning: boolean;
}

export class Roller {
  readonly #options: RollerOptions;
  readonly #holder: Holder | null;
  readonly #nextSaveId = saveIds();
  #rules = new RollupRules([]);
  #rulesText: string | null | undefined;
  #epoch: string | null = null;
  readonly #tracked = new Map<string, Tracked>();
  /** The position that a ticker which isn't tracked is rolled up to. */
  readonly #done = new Map<string, number>();
  /** Tracked ones that have a step to make. */
  readonly #due = new Map<string, Tracked>();
  #running = 0;
  #isBacklogRunning = false;
  #backlogAtMs = 0;
  #isOn = false;
  #isStopped = false;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #lookTimer: Timer | undefined;
  #comparedAtMs = Number.NEGATIVE_INFINITY;
  #comparePauseMs = LOOK_MS;
  readonly #tellFailure: (message: string) => void;
  readonly #tellLate: (message: string) => void;
  #isFullTold = false;

  constructor(options: RollerOptions) {
    this.#options = options;
    this.#tellFailure = seldom((message) => options.log.warning(message));
    this.#tellLate = seldom((message) => options.log.warning(message));
    this.#holder = options.isShared ? new Holder(options.db, randomBytes(9).toString("base64url")) : null;
  }

  start(): void {
    this.#look();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#lookTimer);
    await this.#looking;
    while (this.#running > 0) await Bun.sleep(1);
    await this.#holder?.free().catch(() => {});
  }

  /** The series that a ticker gets; null: the rules have yet to be read. */
  seriesOf(ticker: string): RollupSeries[] | null {
    return this.#rulesText === undefined ? null : this.#rules.of(ticker);
  }

  /** An update that this process was told of. */
  hear(ticker: string, update: Update): void {
    if (this.#isOn) this.#find(ticker, (rollup) => rollup.hear(update));
  }

  /** The ticker has this position, the content wasn't told. */
  note(ticker: string, position: number): void {
    if (this.#isOn) this.#find(ticker, (rollup) => rollup.note(position));
  }

  /** Updates may have been missed. */
  missed(): void {
    this.#comparedAtMs = Number.NEGATIVE_INFINITY;
  }

  #find(ticker: string, tell: (rollup: TickerRollup) => void): void {
    const tracked = this.#tracked.get(ticker) ?? this.#track(ticker);
    if (tracked === null) return;
    tell(tracked.rollup);
    this.#plan(ticker, tracked);
  }

  /** Null: it has no roll-ups. */
  #track(ticker: string): Tracked | null {
    const series = this.#rules.of(ticker);
    if (series.length === 0) return null;
    if (!this.#done.has(ticker) && this.#done.size + this.#tracked.size >= ROLLUP_TICKERS_MAX) {
      if (!this.#isFullTold)
        this.#options.log.warning(
          `Roll-ups: ${ROLLUP_TICKERS_MAX} tickers have some; ${ticker} and further ones get none`,
        );
      this.#isFullTold = true;
      return null;
    }
    const rollup = new TickerRollup(ticker, series, (before) => {
      const day = stampOfMicros(before).slice(0, DAY_LENGTH);
      const what = `trades of ${ticker} before ${day} came too late for its bars, which stay as they are`;
      this.#tellLate(`Roll-ups: ${what}`);
    });
    const tracked: Tracked = { rollup, nextAtMs: 0, doneSinceMs: null, isRunning: false };
    this.#tracked.set(ticker, tracked);
    this.#done.delete(ticker);
    return tracked;
  }

  #plan(ticker: string, tracked: Tracked): void {
    if (tracked.isRunning) return;
    const { rollup } = tracked;
    if (!rollup.isDue && !rollup.hasBacklog) return;
    this.#due.set(ticker, tracked);
    this.#wakeAt(tracked.nextAtMs);
  }

  #wakeAt(atMs: number): void {
    if (this.#isStopped || atMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Number.POSITIVE_INFINITY;
        this.#begin();
      },
      Math.max(0, atMs - performance.now()),
    );
  }

  /** Begins the steps that are due: first what has changed, then a part of the backlog. */
  #begin(): void {
    if (this.#isStopped || !this.#isOn) return;
    const now = performance.now();
    let backlog: [string, Tracked] | null = null;
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const [ticker, tracked] of this.#due) {
      if (this.#running >= STEPS_MAX) return;
      if (tracked.nextAtMs > now) nextAtMs = Math.min(nextAtMs, tracked.nextAtMs);
      else if (tracked.rollup.isDue) this.#run(ticker, tracked, false);
      else if (tracked.rollup.hasBacklog) backlog ??= [ticker, tracked];
      else this.#due.delete(ticker);
    }
    if (backlog !== null && !this.#isBacklogRunning) {
      if (this.#backlogAtMs <= now) this.#run(...backlog, true);
      else nextAtMs = Math.min(nextAtMs, this.#backlogAtMs);
    }
    if (nextAtMs !== Number.POSITIVE_INFINITY) this.#wakeAt(nextAtMs);
  }

  #run(ticker: string, tracked: Tracked, isBacklog: boolean): void {
    this.#due.delete(ticker);
    this.#running++;
    tracked.isRunning = true;
    this.#isBacklogRunning ||= isBacklog;
    const began = performance.now();
    void this.#step(ticker, tracked).then((pauseMs) => {
      const now = performance.now();
      this.#running--;
      tracked.isRunning = false;
      tracked.nextAtMs = isBacklog ? now : now + pauseMs;
      if (isBacklog) {
        this.#isBacklogRunning = false;
        this.#backlogAtMs =
          now + Math.max(BACKLOG_PAUSE * (now - began), pauseMs === RETRY_MS ? RETRY_MS : 0);
      }
      tracked.doneSinceMs = null;
      if (this.#tracked.get(ticker) === tracked) this.#plan(ticker, tracked);
      this.#begin();
    });
  }

  /** @returns how long the ticker then rests. */
  async #step(ticker: string, { rollup }: Tracked): Promise<number> {
    try {
      await rollup.step(this.#options.db, this.#nextSaveId);
      if (rollup.hasTail) this.#boundTails();
      return PAUSE_MS;
    } catch (error) {
      rollup.forget();
      if (error instanceof RollupRefusedError && error.isOvertaken) return PAUSE_MS;
      this.#tellFailure(`Roll-ups: those of ${ticker} wait, and are tried again: ${messageOf(error)}`);
      return RETRY_MS;
    }
  }

  /** The oldest go. Most tickers have one for as long as they are tracked. */
  #boundTails(): void {
    if (this.#tracked.size <= TAILS_MAX) return;
    let surplus = -TAILS_MAX;
    for (const { rollup } of this.#tracked.values()) if (rollup.hasTail) surplus++;
    for (const { rollup } of this.#tracked.values()) {
      if (surplus <= 0) return;
      if (rollup.hasTail) surplus--;
      rollup.forgetTail();
    }
  }

  #look(): void {
    this.#looking = this.#lookOnce()
      .catch((error) =>
        this.#tellFailure(`Roll-ups: the database doesn't tell what has changed: ${messageOf(error)}`),
      )
      .finally(() => {
        this.#looking = null;
        if (!this.#isStopped) this.#lookTimer = setTimeout(() => this.#look(), LOOK_MS);
      });
  }

  async #lookOnce(): Promise<void> {
    await this.#readRules();
    const isOn = !this.#rules.isEmpty && ((await this.#holder?.look()) ?? true);
    if (isOn !== this.#isOn) await this.#turn(isOn);
    if (!isOn) return;
    this.#forgetIdle();
    if (performance.now() - this.#comparedAtMs < this.#comparePauseMs) return;
    const began = performance.now();
    await this.#compare();
    this.#comparedAtMs = performance.now();
    this.#comparePauseMs = Math.max(LOOK_MS, LOOK_SHARE * (this.#comparedAtMs - began));
  }

  async #readRules(): Promise<void> {
    const [note] = await this.#options.db.reader.notes(RULES_NOTE, RULES_NOTE, 1);
    const text = note?.[1] ?? null;
    if (text === this.#rulesText) return;
    this.#rulesText = text;
    this.#rules = new RollupRules([...this.#options.rules, ...readRules(text)]);
    this.#forgetAll();
  }

  async #turn(isOn: boolean): Promise<void> {
    this.#forgetAll();
    await this.#options.listen(isOn);
    this.#isOn = isOn;
  }

  #forgetAll(): void {
    this.#tracked.clear();
    this.#due.clear();
    this.#done.clear();
    this.#epoch = null;
    this.missed();
  }

  #forgetIdle(): void {
    const now = performance.now();
    for (const [ticker, tracked] of this.#tracked) {
      const { rollup } = tracked;
      if (tracked.isRunning || !rollup.isDone) {
        this.#plan(ticker, tracked);
        continue;
      }
      tracked.doneSinceMs ??= now;
      if (now - tracked.doneSinceMs < IDLE_MS) continue;
      this.#tracked.delete(ticker);
      this.#done.set(ticker, rollup.through);
    }
  }

  /** Finds the tickers with updates that weren't heard. */
  async #compare(): Promise<void> {
    const { updates } = this.#options.db.reader;
    const epoch = await updates.epoch();
    if (epoch !== this.#epoch) {
      this.#forgetAll();
      this.#epoch = epoch;
      await this.#readDone(epoch);
    }
    const positions = await updates.positions(null);
    let turn = 0;
    for (const [ticker, position] of positions) {
      if (++turn % TURN_TICKERS === 0) await Bun.sleep(0);
      if (this.#isStopped) return;
      if (this.#tracked.has(ticker) || (this.#done.get(ticker) ?? -1) < position)
        this.#find(ticker, (rollup) => rollup.note(position));
    }
  }

  /** What was rolled up before, so that only the others are looked at. */
  async #readDone(epoch: string): Promise<void> {
    const { reader } = this.#options.db;
    let { from } = TICKER_NOTES;
    for (;;) {
      const notes = await reader.notes(from, TICKER_NOTES.to, NOTES_AT_ONCE);
      for (const [name, text] of notes) {
        if (name === from) continue;
        const ticker = tickerOfNote(name);
        const note = readNote(text, ticker);
        const labels = this.#rules.of(ticker).map(({ label }) => label);
        const isKnown = isKnownNote(note, { ticker, epoch, labels });
        if (isKnown && note.todo.length === 0 && this.#done.size < ROLLUP_TICKERS_MAX)
          this.#done.set(ticker, note.to);
      }
      if (notes.length < NOTES_AT_ONCE || this.#isStopped) return;
      from = notes.at(-1)![0];
    }
  }
}

/** What comes soon after another isn't told. */
function seldom(tell: (message: string) => void): (message: string) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (message) => {
    if (performance.now() - toldAtMs < TOLD_PAUSE_MS) return;
    toldAtMs = performance.now();
    tell(message);
  };
}

/** Unique among the saves of all processes, on all machines. */
function saveIds(): () => string {
  const ofThis = randomBytes(9).toString("base64url");
  let count = 0;
  return () => `rollup-${ofThis}-${(count++).toString(36)}`;
}
