/** Adjustments of many tickers, as of the moment in which their bars are opened. */
import { type Adjustment, CLOSE_AGE_DAYS_MAX } from "../market/adjustment.ts";
import { adjustmentWith, ClosesBefore, daysBefore, isUsableAction, paidBy } from "../market/closes-before.ts";
import type { CorporateAction } from "../market/corporate-actions.ts";
import { badRequest } from "../protocol/errors.ts";
import { type ColumnBatch, cellReaders, rowColumnNames, type TextColumn } from "../storage/model/columns.ts";
import type { MarketSource, WantedAdjustment } from "./questions.ts";
import { actionOf } from "./ticker-actions.ts";

/** Of all tickers of a question, some 50 MB. Those of a century and one ticker are hundreds. */
const ACTIONS_MAX = 200_000;
const DATE_LENGTH = "2024-01-02".length;

export interface AdjustmentQuestion {
  tickers: readonly string[];
  isAll: boolean;
  /** Of the first bar, as a stamp; null: unbounded. */
  from: string | null;
  wanted: WantedAdjustment;
  signal?: AbortSignal | undefined;
}

export interface FoundAdjustments {
  /** By ticker, those that change something or can't be applied. */
  adjustments: Map<string, Adjustment>;
  actions: Map<string, CorporateAction[]>;
  /** The first ex-date that was looked at; null: all were. */
  from: string | null;
}

/** @throws RequestError 400 there are too many actions. */
export async function readAdjustments(
  question: AdjustmentQuestion,
  source: MarketSource,
): Promise<FoundAdjustments> {
  const { kind } = question.wanted;
  const actions = await readActions(question, source);
  const paying = [...actions].flatMap(([ticker, ofTicker]) => {
    const paid = paidBy(ofTicker, kind);
    return paid.length === 0 ? [] : [[ticker, new ClosesBefore(paid)] as const];
  });
  const closes = new Map(paying);
  await readCloses(closes, source, question.signal);
  const found = new Map<string, Adjustment>();
  for (const [ticker, ofTicker] of actions) {
    const adjustment = adjustmentWith(ofTicker, kind, closes.get(ticker)?.found() ?? new Map());
    if (adjustment.exDates.length + adjustment.notApplied.length > 0) found.set(ticker, adjustment);
  }
  return { adjustments: found, actions, from: firstExDate(question) };
}

/** An action before the first bar changes nothing. The close before it may still be needed. */
function firstExDate({ from }: AdjustmentQuestion): string | null {
  return from === null ? null : daysBefore(from.slice(0, DATE_LENGTH), CLOSE_AGE_DAYS_MAX);
}

async function readActions(
  question: AdjustmentQuestion,
  source: MarketSource,
): Promise<Map<string, CorporateAction[]>> {
  const { tickers, isAll, wanted, signal } = question;
  const found = new Map<string, CorporateAction[]>();
  let count = 0;
  const walk = source.columns({
    kind: "actions",
    tickers: isAll ? null : tickers,
    parts: null,
    from: firstExDate(question),
    to: wanted.asOf,
    columns: ["ticker", ...rowColumnNames("actions")],
    isCompared: true,
    signal,
  });
  for await (const batch of walk) {
    count += batch.rows;
    if (count > ACTIONS_MAX)
      throw badRequest(
        `adjustment: these tickers have more than ${ACTIONS_MAX} corporate actions, expected fewer tickers`,
      );
    const ticker = textReader(batch, "ticker");
    const names = rowColumnNames("actions");
    const cells = cellReaders("actions", batch);
    for (let row = 0; row < batch.rows; row++) {
      const action = actionOf(Object.fromEntries(names.map((name, at) => [name, cells[at]!(row)])));
      if (!isUsableAction(action)) continue;
      const name = ticker(row);
      const ofTicker = found.get(name);
      if (ofTicker === undefined) found.set(name, [action]);
      else ofTicker.push(action);
    }
  }
  return found;
}

async function readCloses(
  closes: ReadonlyMap<string, ClosesBefore>,
  source: MarketSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (closes.size === 0) return;
  const bounds = [...closes.values()];
  const walk = source.columns({
    kind: "daily",
    tickers: [...closes.keys()],
    parts: null,
    from: bounds.map(({ from }) => from).sort()[0]!,
    to: bounds
      .map(({ to }) => to)
      .sort()
      .at(-1)!,
    columns: ["ticker", "date", "close"],
    isCompared: true,
    signal,
  });
  for await (const batch of walk) {
    const ticker = textReader(batch, "ticker");
    const [date, , , , close] = cellReaders("daily", batch);
    for (let row = 0; row < batch.rows; row++) {
      const ofTicker = closes.get(ticker(row))!;
      const day = String(date!(row));
      if (day >= ofTicker.from && day <= ofTicker.to) ofTicker.add(day, close!(row) as number | null);
    }
  }
}

function textReader({ columns }: ColumnBatch, name: string): (row: number) => string {
  const { codes, dictionary } = columns.get(name) as TextColumn;
  return (row) => dictionary[codes[row]!]!;
}
