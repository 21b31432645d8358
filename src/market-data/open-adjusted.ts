/** Bars of many tickers with the adjustments of the moment in which they are opened. */
import type { Adjustment } from "../market/adjustment.ts";
import { unavailable } from "../protocol/errors.ts";
import type { WalkPositions } from "../storage/model/columns.ts";
import { type AdjustmentQuestion, type FoundAdjustments, readAdjustments } from "./adjustments.ts";
import type { AnswerTable } from "./contract.ts";
import type { MarketSource } from "./questions.ts";
import { isSameActions, mayHaveChanged, readTickerActions } from "./ticker-actions.ts";

/** Times that the bars are opened, as long as bars or actions are saved meanwhile. */
const TRIES = 4;
/** Tickers with updates in between that are looked at; if there are more, all is read again. */
const MOVED_MAX = 200;
/** Warnings about actions without a factor in one answer; one more tells how many there are. */
const TOLD_MAX = 20;

type Open = (
  adjustments: ReadonlyMap<string, Adjustment>,
  onPositions: (found: WalkPositions) => void,
) => Promise<AnswerTable>;

/**
 * No engine has a snapshot over several reads. So positions from before the actions were read are
 * compared with those of the snapshot of the bars. Once the bars are open, few rows are read: a
 * walk that waits for a walk could wait for ever.
 *
 * @throws RequestError 503 bars and actions were saved again and again.
 */
export async function openAdjusted(
  question: AdjustmentQuestion,
  source: MarketSource,
  open: Open,
): Promise<AnswerTable> {
  const { tickers, isAll, signal } = question;
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = await source.updates.positions(isAll ? null : tickers);
    const found = await readAdjustments(question, source);
    let after: ReadonlyMap<string, number> = new Map();
    const table = await open(found.adjustments, ({ positions }) => {
      after = positions;
    });
    const moved = [...after].filter(([ticker, position]) => (before.get(ticker) ?? 0) !== position);
    try {
      const isLast = tries === TRIES;
      if (
        await isSettled(
          moved.map(([ticker]) => ticker),
          { before, found, isLast, question },
          source,
        )
      )
        return { ...table, warnings: () => [...table.warnings(), ...notApplied(found)] };
    } catch (error) {
      await table.batches[Symbol.asyncIterator]().return?.();
      throw error;
    }
    await table.batches[Symbol.asyncIterator]().return?.();
    signal?.throwIfAborted();
  }
  throw unavailable(`adjustment: bars or corporate actions were saved ${TRIES} times while they were opened`);
}

interface Try {
  before: ReadonlyMap<string, number>;
  found: FoundAdjustments;
  isLast: boolean;
  question: AdjustmentQuestion;
}

/** Whether no update in between can have changed a factor. */
async function isSettled(
  moved: readonly string[],
  { before, found, isLast, question }: Try,
  source: MarketSource,
): Promise<boolean> {
  if (moved.length > MOVED_MAX) return false;
  const { wanted, signal } = question;
  for (const ticker of moved) {
    if (!(await mayHaveChanged(source, ticker, before.get(ticker) ?? 0))) continue;
    // Where bars are saved all the time, a close that is corrected may be of another moment.
    if (!isLast) return false;
    const now = await readTickerActions(source, { ticker, from: found.from, to: wanted.asOf }, signal);
    if (!isSameActions(now, found.actions.get(ticker) ?? [])) return false;
  }
  return true;
}

function notApplied({ adjustments }: FoundAdjustments): string[] {
  const all = [...adjustments].flatMap(([ticker, adjustment]) =>
    adjustment.notApplied.map(
      ({ action, reason }) => `${ticker}: the ${action.type} of ${action.exDate} is not applied: ${reason}`,
    ),
  );
  const told = all.slice(0, TOLD_MAX);
  const more = all.length - told.length;
  return more === 0 ? told : [...told, `${more} more corporate actions are not applied`];
}
