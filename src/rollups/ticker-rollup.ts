/**
 * The roll-ups of one ticker: what has changed since they were made, and the steps that make them
 * anew. A step reads trades only after it knows the position that it makes the bars as of, so they
 * have at least what the updates up to there have changed; what came later is found again.
 */
import { noteName } from "../market/rollup-note.ts";
import type { Update } from "../storage/update-contract.ts";
import { type BarsOfTrades, tradesOf } from "./bars-of-trades.ts";
import { changedSpans, TRADE } from "./changed-spans.ts";
import { findFloor } from "./find-floor.ts";
import { type Rebuilt, rebuild, type SeriesChange, tradesIn } from "./rebuild.ts";
import { type RollupDatabase, saveNote } from "./rollup-database.ts";
import type { RollupSeries } from "./rules.ts";
import { ALL_TIME, joinSpans, spansFrom, type TimeSpan } from "./spans.ts";
import { isKnownNote, readNote, type TickerNote } from "./ticker-note.ts";
import { type KeptNote, RollupRefusedError, writeChanges } from "./write-changes.ts";

/** Updates that are read of the log at once. */
export const LOG_LIMIT = { updates: 1_000, characters: 4 * 1024 * 1024 };
/** After so many trades a step of the backlog ends, so that it holds nobody up. */
const STEP_TRADES_MAX = 5_000;
/** Changes that are made before the backlog. */
const FRESH_TRADES_MAX = 200_000;
/** How long the note may lag where only other updates than trades came. */
const NOTE_LAG_MS = 30_000;

/** Of a ticker, apart from each other; more are joined. */
const FRESH_MAX = 256;

interface TradeChange {
  span: TimeSpan;
  /** Of the newest update that made it. */
  position: number;
}

export class TickerRollup {
  readonly ticker: string;
  readonly series: readonly RollupSeries[];
  /** Null: it has to be read. */
  #kept: KeptNote | null = null;
  /** Changes up to this position are in `#fresh`, in the note's todo, or made. */
  #through = 0;
  #fresh: TradeChange[] = [];
  /** What the open bars were made of last. */
  #read: { span: TimeSpan; position: number } | null = null;
  /** The newest position that was heard of. */
  #heardTo = 0;
  /** Updates before it haven't come. */
  #isMissing = true;
  /** The newest bars, from which later trades go on. */
  #tail: BarsOfTrades | null = null;
  /** Its updates come while the server runs. */
  #isLive = false;
  /** It has no trade, and so nothing is written for it. */
  #hasTrades = false;
  #notedAtMs = performance.now();
  readonly #onLate: (before: number) => void;

  /** @param onLate told of trades before the moment from which bars are made. */
  constructor(ticker: string, series: readonly RollupSeries[], onLate: (before: number) => void) {
    this.ticker = ticker;
    this.series = series;
    this.#onLate = onLate;
  }

  /** What a step would write has been heard of. */
  get isDue(): boolean {
    return this.#kept === null || this.#fresh.length > 0 || this.#isBehind || this.#isNoteLate;
  }

  get hasBacklog(): boolean {
    return this.#kept !== null && this.#kept.note.todo.length > 0;
  }

  /** Nothing is left to do or to write down. */
  get isDone(): boolean {
    return !this.isDue && !this.hasBacklog && (this.#kept!.note.to === this.#through || !this.#hasTrades);
  }

  get through(): number {
    return this.#through;
  }

  get hasTail(): boolean {
    return this.#tail !== null;
  }

  get #isBehind(): boolean {
    return this.#isMissing || this.#heardTo > this.#through;
  }

  get #isNoteLate(): boolean {
    if (this.#kept === null || !this.#hasTrades || this.#kept.note.to === this.#through) return false;
    return performance.now() - this.#notedAtMs >= NOTE_LAG_MS;
  }

  forgetTail(): void {
    this.#tail = null;
  }

  /** Everything is read from the database again. */
  forget(): void {
    this.#kept = null;
    this.#tail = null;
    this.#read = null;
    this.#fresh = [];
    this.#isMissing = true;
  }

  /** In any order, and any number of times. */
  hear(update: Update): void {
    const { position } = update;
    this.#isLive = true;
    if (position > this.#heardTo) this.#heardTo = position;
    if (this.#kept !== null && position === this.#through + 1) this.#add(update, Date.now());
  }

  /** The ticker has this position. */
  note(position: number): void {
    if (position > this.#heardTo) this.#heardTo = position;
  }

  #add(update: Update, savedAtMs: number): void {
    this.#through = update.position;
    if (update.type === TRADE) this.#hasTrades = true;
    const names = this.series.map(({ name }) => name);
    const spans = changedSpans(update, names, savedAtMs);
    const { keptFrom } = this.#kept!.note;
    if (keptFrom !== null && update.type === TRADE) {
      // The span of a stamp that is a number begins a µs before it.
      const isLate = ({ from }: TimeSpan): boolean => Number.isFinite(from) && from < keptFrom - 1;
      if (spans.some(isLate)) this.#onLate(keptFrom);
    }
    this.#addSpans(spans, update.position);
  }

  #addSpans(spans: readonly TimeSpan[], position: number): void {
    for (const span of spans) this.#fresh.push({ span, position });
    if (this.#fresh.length <= FRESH_MAX) return;
    this.#fresh = joinSpans(this.#fresh.map((each) => each.span)).map((span) => ({ span, position }));
  }

  /** The spans of changes that no step has seen. */
  #takeFresh(): TimeSpan[] {
    const read = this.#read;
    const isSeen = ({ span, position }: TradeChange): boolean =>
      read !== null &&
      position <= read.position &&
      span.from >= read.span.from &&
      span.until <= read.span.until;
    const fresh = this.#fresh.filter((change) => !isSeen(change));
    this.#fresh = [];
    return joinSpans(fresh.map(({ span }) => span));
  }

  /**
   * One step: the changes that were heard of, else a part of the backlog.
   *
   * @throws RollupRefusedError as `writeChanges`, and what reads throw: then it is to be forgotten.
   */
  async step(db: RollupDatabase, saveId: () => string): Promise<void> {
    if (this.#kept === null) await this.#begin(db, saveId);
    await this.#catchUp(db);
    if (this.#kept!.text === null && this.#fresh.length > 0) {
      // It had no trades. With the first ones there may be bars whose trades are gone.
      this.forget();
      await this.#begin(db, saveId);
      await this.#catchUp(db);
    }
    if (this.#kept!.text === null) return;
    const fresh = this.#takeFresh();
    const to = this.#through;
    const { todo } = this.#kept!.note;
    if (fresh.length > 0) await this.#makeFresh(db, { fresh, to, saveId });
    else if (todo.length > 0) await this.#makeBacklog(db, { to, saveId });
    else if (this.#isNoteLate) await this.#write(db, { changes: [this.#noChange()], to, todo, saveId });
  }

  async #begin(db: RollupDatabase, saveId: () => string): Promise<void> {
    const { ticker } = this;
    const { updates } = db.reader;
    const name = noteName(ticker);
    const [epoch, notes] = await Promise.all([updates.epoch(), db.reader.notes(name, name, 1)]);
    const text = notes[0]?.[1] ?? null;
    const stored = readNote(text, ticker);
    const labels = this.series.map(({ label }) => label);
    // The position first: the trades that are read after it have all that it has.
    const { position } = await updates.newest(ticker);
    this.#hasTrades = text !== null || (await db.reader.parts("ticks", ticker)).includes(TRADE);
    const note: TickerNote = {
      ticker,
      step: 0,
      epoch,
      to: position,
      intervals: labels,
      todo: [],
      keptFrom: null,
    };
    if (isKnownNote(stored, { ticker, epoch, labels }))
      this.#kept = { note: { ...stored, intervals: labels }, text };
    else if (stored !== null) {
      const { step, keptFrom } = stored;
      this.#kept = { note: { ...note, step, keptFrom, todo: spansFrom(keptFrom, [ALL_TIME]) }, text };
    } else this.#kept = this.#hasTrades ? await this.#found(db, { note, text, saveId }) : { note, text };
    this.#through = this.#kept.note.to;
    this.#isMissing = true;
    // A new ticker doesn't wait behind the backlog of others.
    if (stored === null && this.#isLive && this.hasBacklog)
      await this.#makeBacklog(db, { to: this.#kept.note.to, saveId });
  }

  /** What no note tells. */
  async #found(
    db: RollupDatabase,
    { note, text, saveId }: { note: TickerNote; text: string | null; saveId(): string },
  ): Promise<KeptNote> {
    const { ticker, series } = this;
    // A renaming takes this text away, or brings another, and then nothing is written that rests on
    // the rows of before.
    const begun = JSON.stringify({ begun: saveId() });
    const outcome = await saveNote(db, ticker, { name: noteName(ticker), from: text, to: begun });
    if (!outcome.ok) throw new RollupRefusedError(outcome);
    const keptFrom = await findFloor(db, { ticker, series });
    return { note: { ...note, keptFrom, todo: spansFrom(keptFrom, [ALL_TIME]) }, text: begun };
  }

  /** Reads of the log what wasn't heard. */
  async #catchUp(db: RollupDatabase): Promise<void> {
    if (!this.#isBehind) return;
    const { updates } = db.reader;
    const { position } = await updates.newest(this.ticker);
    while (this.#through < position) {
      const found = await updates.after(this.ticker, this.#through, LOG_LIMIT);
      if (found.length === 0 && this.#through < position) {
        // The log no longer has them.
        this.#through = position;
        this.#hasTrades = true;
        this.#addSpans([ALL_TIME], position);
      }
      for (const update of found) {
        // It was heard meanwhile.
        if (update.position <= this.#through) continue;
        if (update.position !== this.#through + 1) {
          this.#hasTrades = true;
          this.#addSpans([ALL_TIME], update.position);
        }
        this.#add(update, update.savedAtMs);
      }
    }
    this.#isMissing = false;
    this.#heardTo = Math.max(this.#heardTo, this.#through);
  }

  async #makeFresh(
    db: RollupDatabase,
    { fresh, to, saveId }: { fresh: TimeSpan[]; to: number; saveId(): string },
  ): Promise<void> {
    const { todo, keptFrom } = this.#kept!.note;
    const isBounded = ({ from }: TimeSpan): boolean => from !== Number.NEGATIVE_INFINITY;
    const bounded = spansFrom(keptFrom, fresh.filter(isBounded));
    // What has no bounds comes after what has.
    const rest = spansFrom(
      keptFrom,
      fresh.filter((span) => !isBounded(span)),
    );
    if (bounded.length + rest.length === 0) {
      // All of it came too late.
      await this.#write(db, { changes: [this.#noChange()], to, todo, saveId });
      return;
    }
    const tail = this.#tail;
    this.#tail = null;
    if (rest.length === 0 && tail !== null && bounded.every(({ from }) => from > tail.last)) {
      const changes = await this.#goOn(db, tail, bounded.at(-1)!);
      await this.#write(db, { changes, to, todo, saveId });
      this.#tail = tail;
      return;
    }
    this.#read = null;
    let newest: Rebuilt | null = null;
    for (const [index, span] of bounded.entries()) {
      const isLast = index === bounded.length - 1;
      const options = {
        ticker: this.ticker,
        series: this.series,
        span,
        tradesMax: FRESH_TRADES_MAX,
        isNewest: isLast,
      };
      const made = await rebuild(db, options);
      if (made.rest !== null) rest.push(made.rest);
      // The position counts once all are made; until then the note says what it said.
      const now = isLast ? { to, todo: joinSpans([...todo, ...rest]) } : { to: this.#kept!.note.to, todo };
      await this.#write(db, { changes: made.changes, ...now, saveId });
      if (isLast && made.rest === null) newest = made;
    }
    if (bounded.length === 0)
      await this.#write(db, {
        changes: [this.#noChange()],
        to,
        todo: joinSpans([...todo, ...rest]),
        saveId,
      });
    if (newest === null || rest.length > 0 || newest.bars.last === Number.NEGATIVE_INFINITY) return;
    newest.bars.openEnd();
    this.#tail = newest.bars;
    if (newest.position !== null) this.#read = { span: newest.made, position: newest.position };
  }

  /** Trades that are later than all of the open bars. */
  async #goOn(db: RollupDatabase, tail: BarsOfTrades, span: TimeSpan): Promise<SeriesChange[]> {
    const read = { from: tail.last + 1, until: tail.endOf(span) };
    const walk = tradesIn(db, this.ticker, read);
    for await (const batch of walk.batches) tail.add(tradesOf(batch));
    const position = walk.position();
    this.#read = position === null ? null : { span: read, position };
    return tail.take().map(({ series, rows }) => ({ series, rows, gone: [] }));
  }

  /** The newest first: it is what people look at. */
  async #makeBacklog(db: RollupDatabase, { to, saveId }: { to: number; saveId(): string }): Promise<void> {
    const todo = [...this.#kept!.note.todo];
    const span = todo.pop()!;
    const options = { ticker: this.ticker, series: this.series, span, tradesMax: STEP_TRADES_MAX };
    const { changes, rest } = await rebuild(db, options);
    await this.#write(db, { changes, to, todo: rest === null ? todo : joinSpans([...todo, rest]), saveId });
  }

  async #write(
    db: RollupDatabase,
    {
      changes,
      to,
      todo,
      saveId,
    }: { changes: SeriesChange[]; to: number; todo: TimeSpan[]; saveId(): string },
  ): Promise<void> {
    const intervals = this.series.map(({ label }) => label);
    this.#kept = await writeChanges(db, {
      ticker: this.ticker,
      changes,
      before: this.#kept!,
      after: { to, todo, intervals },
      saveId,
    });
    this.#notedAtMs = performance.now();
  }

  #noChange(): SeriesChange {
    return { series: this.series[0]!, rows: [], gone: [] };
  }
}
