/** Stored bars, trades and quotes as the table of an answer, from one snapshot. */
import { secondsOfInterval } from "../market/interval.ts";

import type {
  ColumnBatch,
  ColumnQuery,
  RowKey,
  TextColumn,
  WalkPositions,
} from "../storage/model/columns.ts";
import { type KindName, kindOf, partName } from "../storage/model/kinds.ts";
import { dayText, StampTexts } from "../storage/model/stamp-text.ts";
import { AdjustedBatches } from "./adjusted-batches.ts";
import { AnswerBatches, sliceBatch } from "./answer-batches.ts";
import type { MarketTable } from "./answer-columns.ts";
import type { AnswerTable, TablePositions } from "./contract.ts";
import { openAdjusted } from "./open-adjusted.ts";
import { pageToken } from "./page-token.ts";
import type { ActionsQuestion, BarsQuestion, MarketSource, TicksQuestion } from "./questions.ts";

const DAY_SECONDS = 86_400;

/** Trades or quotes, in order of ticker and stamp. */
export function storedTicks(question: TicksQuestion, source: MarketSource): Promise<AnswerTable> {
  const table = question.type === "trade" ? "trades" : "quotes";
  return openTable({ table, kind: "ticks", parts: [question.type], question, source });
}

/** Bars of one stored length, in order of ticker and stamp, as stored or adjusted. */
export async function storedBars(question: BarsQuestion, source: MarketSource): Promise<AnswerTable> {
  const { kind, part } = question.series;
  const read = { table: "bars", kind, parts: part === null ? null : [part], question, source } as const;
  if (question.adjustment === null) return openTable(read);
  const { adjustment } = question;
  return openAdjusted({ ...question, wanted: adjustment }, source, (adjustments, onPositions) => {
    const batches = new AdjustedBatches({
      adjustments,
      stampName: kindOf(kind).stamp.name,
      hasDates: secondsOfInterval(partName(kind, part)) >= DAY_SECONDS,
      timeZone: adjustment.timeZone,
    });
    return openTable({ ...read, change: (answer, stored) => batches.of(answer, stored), onPositions });
  });
}

/** Splits, dividends, spin-offs and changes of the symbol, in order of ticker and ex-date. */
export function storedActions(question: ActionsQuestion, source: MarketSource): Promise<AnswerTable> {
  return openTable({ table: "corporate_actions", kind: "actions", parts: null, question, source });
}

interface TableRead {
  table: MarketTable;
  kind: KindName;
  parts: readonly string[] | null;
  question: ActionsQuestion;
  source: MarketSource;
  /** Of a batch with the columns of the answer, and as it is stored. */
  change?: (answer: ColumnBatch, stored: ColumnBatch) => ColumnBatch;
  onPositions?: (found: WalkPositions) => void;
}

/** Resolves once the first rows are there, and with them the positions. */
async function openTable(read: TableRead): Promise<AnswerTable> {
  const { table, kind, parts, question, source, change = (answer) => answer, onPositions } = read;
  const { tickers, isAll, identity, from, to, order, limit, after, columns, zone, signal } = question;
  const shaped = new AnswerBatches({ table, kind, columns, zone });
  const keys = limit === null ? [] : keyColumns(kind);
  const page = new Page(kind, limit);
  let positions: TablePositions | null = null;
  const query: ColumnQuery = {
    ...{ kind, tickers: isAll ? null : tickers, parts, from, to, order, after },
    // One more tells whether there is another page.
    limit: limit === null ? null : limit + 1,
    columns: [...new Set([...shaped.stored, ...keys])],
    ...(question.withPositions || onPositions !== undefined
      ? {
          onPositions: (found) => {
            onPositions?.(found);
            if (question.withPositions) positions = { epoch: found.epoch, byTicker: found.positions };
          },
        }
      : {}),
    ...(signal === undefined ? {} : { signal }),
  };
  const walk = source.columns(query)[Symbol.asyncIterator]();
  const first = await walk.next();
  return {
    columns: shaped.columns,
    names: new Map([["symbol", tickers]]),
    batches: batchesOf(first, walk, (batch) => {
      const stored = page.take(batch);
      return change(shaped.of(stored), stored);
    }),
    nextPage: () => (page.last === null ? null : pageToken(identity, page.last)),
    positions,
    warnings: () => [],
  };
}

/** Unlike a generator's, its `return` ends the walk even if no batch was taken. */
function batchesOf(
  first: IteratorResult<ColumnBatch>,
  walk: AsyncIterator<ColumnBatch>,
  shape: (batch: ColumnBatch) => ColumnBatch,
): AsyncIterableIterator<ColumnBatch> {
  let waiting: IteratorResult<ColumnBatch> | null = first;
  return {
    async next() {
      const found = waiting ?? (await walk.next());
      waiting = null;
      return found.done === true ? found : { done: false, value: shape(found.value) };
    },
    async return() {
      await walk.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function keyColumns(kind: KindName): string[] {
  const { part, stamp, hasSeq } = kindOf(kind);
  return ["ticker", stamp.name, ...(part === null ? [] : [part]), ...(hasSeq ? ["seq"] : [])];
}

/** Counts the rows of a page, and keeps the key of its last one. */
class Page {
  readonly #kind: KindName;
  readonly #limit: number | null;
  #rows = 0;
  #ending: RowKey | null = null;
  /** Null until a row behind the page has come. */
  last: RowKey | null = null;

  constructor(kind: KindName, limit: number | null) {
    this.#kind = kind;
    this.#limit = limit;
  }

  take(batch: ColumnBatch): ColumnBatch {
    if (this.#limit === null || batch.rows === 0) return batch;
    const room = this.#limit - this.#rows;
    const taken = sliceBatch(batch, 0, Math.min(room, batch.rows));
    if (taken.rows > 0) this.#ending = keyOf(this.#kind, taken, taken.rows - 1);
    this.#rows += taken.rows;
    if (batch.rows > room) this.last = this.#ending;
    return taken;
  }
}

function keyOf(name: KindName, { columns }: ColumnBatch, row: number): RowKey {
  const { part, stamp, hasSeq } = kindOf(name);
  const text = (column: string): string => {
    const { codes, dictionary } = columns.get(column) as TextColumn;
    return dictionary[codes[row]!]!;
  };
  const seq = columns.get("seq");
  const at = columns.get(stamp.name)!;
  return {
    ticker: text("ticker"),
    part: part === null ? null : text(part),
    stamp:
      at.type === "date"
        ? dayText(at.values[row]!)
        : new StampTexts(
            (at as { values: BigInt64Array }).values.slice(row, row + 1),
            stamp.type === "instant",
          ).at(0),
    seq: hasSeq && seq?.type === "int64" ? Number(seq.values[row]!) : null,
  };
}
