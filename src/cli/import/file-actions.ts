/**
 * Takes corporate actions out of files of daily bars, and gives the bars the prices that they were
 * traded at. Files have prices that are adjusted for later splits, and some for dividends too:
 * what was stored as it stands would be adjusted a second time.
 *
 * A split counts for all rows before it, which may be in another file, so all are read beforehand:
 * once for the actions, once for the closes around them.
 */
import { type Adjustment, adjustmentOf, CLOSE_AGE_DAYS_MAX, spanOf } from "../../market/adjustment.ts";
import type { CorporateAction } from "../../market/corporate-actions.ts";
import { CsvError, type CsvRecord } from "../../market/csv.ts";
import { type ActionRule, decimalsOf, type RowActions, readActions } from "./action-columns.ts";
import { DoubtError } from "./doubt.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { type ReadRow, rowReader } from "./row-reader.ts";

/** What prices are adjusted for, once it is decided. */
type AdjustedFor = Exclude<ActionRule, "auto">;

interface ActionDay {
  date: string;
  /** 1: no split. */
  ratio: number;
  /** As the file has it; 0: nothing was paid. */
  cash: number;
}

/** The first and the last close between two days of actions. */
interface SpanCloses {
  first: { date: string; close: number } | null;
  last: { date: string; close: number; adjusted: number | null } | null;
}

interface TickerActions {
  days: ActionDay[];
  /** Ascending. */
  dates: string[];
  /** One more than days: the last span lies after all. */
  spans: SpanCloses[];
  lastDate: string;
  /** The most digits behind the point: a number may end with zeros that aren't seen any more. */
  decimals: { close: number; cash: number };
  /** By span: what the file's price is to be multiplied by, and its volume divided. */
  prices: number[];
  volumes: number[];
  /** As they are saved. */
  actions: CorporateAction[];
  /** To compare with the adjusted close of the file. */
  adjustment: Adjustment;
  /** The file's adjusted close of the last row by its close: below 1, more was paid later. */
  later: number;
}

const DAY_MS = 86_400_000;
/** Files that end earlier may lack a split. */
const FRESH_DAYS = 7;
/** A split by which prices jump more than markets do. */
const CLEAR_RATIO = 1.5;
/** Prices that are equal but for rounding. */
const EQUAL = 1e-5;
/** Single precision, which Yahoo's numbers have, keeps so much of a value. */
const SINGLE = 1.2e-7;

/** The largest difference between the file's adjusted close and that by its actions, as a share. */
export interface AdjustedDifference {
  largest: number;
  /** Ticker and date. */
  where: string;
}

export class FileActions {
  readonly adjustedFor: AdjustedFor;
  readonly #tickers = new Map<string, TickerActions>();
  #difference: AdjustedDifference | null = null;
  /** Rows with capital gains, in which no action is seen. */
  #gains = 0;

  private constructor(adjustedFor: AdjustedFor) {
    this.adjustedFor = adjustedFor;
  }

  /** @throws DoubtError @throws SourceError */
  static async of(files: readonly PreparedFile[], asked: ActionRule): Promise<FileActions> {
    for (const file of files) checkFile(file);
    const found = new FileActions(asked === "auto" ? decideRule(files) : asked);
    await forEachRow(files, (ticker, date, row) => found.#addActions(ticker, date, row));
    for (const each of found.#tickers.values()) sortDays(each);
    await forEachRow(files, (ticker, date, row, close) => found.#addClose(ticker, date, row, close));
    for (const [ticker, each] of found.#tickers) {
      checkJumps(ticker, each, found.adjustedFor);
      resolve(each, found.adjustedFor);
    }
    found.#checkDividends();
    return found;
  }

  /** Those with actions, and what is saved of them. */
  *actions(): Generator<{ ticker: string; actions: readonly CorporateAction[] }> {
    for (const [ticker, { actions }] of this.#tickers) if (actions.length > 0) yield { ticker, actions };
  }

  get difference(): AdjustedDifference | null {
    return this.#difference;
  }

  /** For the plan. */
  summary(now: number = Date.now()): ActionSummary {
    const all = [...this.#tickers.values()];
    const actions = all.flatMap((each) => each.actions);
    const fresh = new Date(now - FRESH_DAYS * DAY_MS).toISOString().slice(0, 10);
    const stale = all.filter(({ lastDate }) => lastDate < fresh).map(({ lastDate }) => lastDate);
    return {
      adjustedFor: this.adjustedFor,
      splits: actions.filter(({ type }) => type === "split").length,
      dividends: actions.filter(({ type }) => type === "dividend").length,
      tickers: all.length,
      endsBefore: stale.length === 0 ? null : stale.sort()[0]!,
      gains: this.#gains,
      paidLater: all.filter(({ later }) => later < 1 - EQUAL).length,
    };
  }

  /** Reads rows as they were traded. */
  reader(file: PreparedFile, read: (row: FileRow) => ReadRow): (row: FileRow) => ReadRow {
    const actionsOf = actionReader(file);
    return (row) => {
      const found = read(row);
      const { adjustedClose } = actionsOf(row);
      this.#asTraded(found, adjustedClose);
      return found;
    };
  }

  #asTraded({ ticker, record }: ReadRow, adjustedClose: number | null): void {
    const of = this.#tickers.get(ticker);
    if (of === undefined) return;
    const date = String(record.date);
    const span = spanOf(of.dates, date);
    const [price, volume] = [of.prices[span]!, of.volumes[span]!];
    if (price !== 1)
      for (const name of ["open", "high", "low", "close"])
        record[name] = multiplied(record[name], price, of.decimals.close);
    if (volume !== 1 && record.volume !== undefined) record.volume = wholeIfWhole(record.volume, volume);
    if (adjustedClose !== null) this.#compare(ticker, of, record, adjustedClose);
  }

  #compare(ticker: string, of: TickerActions, record: CsvRecord, adjustedClose: number): void {
    const { exDates, ratios, payouts } = of.adjustment;
    const close = Number(record.close);
    if (!(close > 0)) return;
    const date = String(record.date);
    const span = spanOf(exDates, date);
    const expected = (close / ratios[span]!) * payouts[span]! * of.later;
    const largest = Math.abs(adjustedClose / expected - 1);
    if (this.#difference !== null && largest <= this.#difference.largest) return;
    this.#difference = { largest, where: `${ticker} ${date}` };
  }

  #addActions(ticker: string, date: string, { dividend, split, gains }: RowActions): void {
    if (gains !== null && this.adjustedFor === "all") {
      throw new DoubtError(
        `${ticker} ${date}: "Capital Gains" is ${gains}, and prices that are adjusted for it can't be undone: expected a file whose prices are adjusted for splits only (auto_adjust=False), and --actions split`,
      );
    }
    if (gains !== null) this.#gains++;
    let of = this.#tickers.get(ticker);
    if (of === undefined) {
      of = newTicker();
      this.#tickers.set(ticker, of);
    }
    if (date > of.lastDate) of.lastDate = date;
    if (dividend === null && split === null) return;
    of.decimals.cash = Math.max(of.decimals.cash, decimalsOf(dividend ?? 0));
    const day = { date, ratio: split ?? 1, cash: dividend ?? 0 };
    const other = of.days.find((each) => each.date === date);
    if (other === undefined) of.days.push(day);
    else if (other.ratio !== day.ratio || other.cash !== day.cash)
      throw new DoubtError(
        `${ticker} ${date}: one row says a dividend of ${other.cash} and a split of ${other.ratio}, another ${day.cash} and ${day.ratio}: expected the same, as of files of one day`,
      );
  }

  #addClose(ticker: string, date: string, { adjustedClose }: RowActions, close: number | null): void {
    if (close === null || !(close > 0)) return;
    const { dates, spans, decimals } = this.#tickers.get(ticker)!;
    decimals.close = Math.max(decimals.close, decimalsOf(close));
    const span = spans[spanOf(dates, date)]!;
    if (span.first === null || date < span.first.date) span.first = { date, close };
    if (span.last === null || date >= span.last.date) span.last = { date, close, adjusted: adjustedClose };
  }

  /** @throws DoubtError Adjusted closes tell that prices aren't adjusted as it was said. */
  #checkDividends(): void {
    for (const [ticker, { days, spans }] of this.#tickers) {
      const before = spans.flatMap(({ last }, at) =>
        at < days.length && last !== null ? [{ ...last, at }] : [],
      );
      const paid = before.filter(
        ({ at, adjusted }) => adjusted !== null && days.slice(at).some(({ cash }) => cash > 0),
      );
      if (paid.length === 0 || this.adjustedFor === "raw") continue;
      const areEqual = paid.every(({ close, adjusted }) => Math.abs(adjusted! / close - 1) < EQUAL);
      const { date, close, adjusted } = paid[0]!;
      if (areEqual && this.adjustedFor === "split")
        throw new DoubtError(
          `${ticker}: "Adj Close" is the close in all rows before dividends, such as ${close} on ${date}, so the prices are adjusted for dividends too, or neither is: --actions all says the first`,
        );
      if (!areEqual && this.adjustedFor === "all")
        throw new DoubtError(
          `${ticker}: "Adj Close" is ${adjusted} on ${date} and the close ${close}, so the prices are not adjusted for dividends: expected --actions split`,
        );
    }
  }
}

export interface ActionSummary {
  adjustedFor: AdjustedFor;
  splits: number;
  dividends: number;
  tickers: number;
  /** The earliest end of a ticker's rows; null: all reach the present. */
  endsBefore: string | null;
  /** Rows with capital gains. */
  gains: number;
  /** Tickers of which the last adjusted close says that more was paid after it. */
  paidLater: number;
}

type FileRow = Parameters<ReturnType<typeof rowReader>>[0];

function newTicker(): TickerActions {
  const adjustment = adjustmentOf([], "all", () => null);
  const none = { days: [], dates: [], spans: [], prices: [], volumes: [], actions: [] };
  return { ...none, lastDate: "", decimals: { close: 0, cash: 0 }, adjustment, later: 1 };
}

/** @throws DoubtError */
function checkFile({ source, layout }: PreparedFile): void {
  const { kind, actions } = layout;
  if (kind !== "daily")
    throw new DoubtError(`${source.name}: --actions is for daily bars, and these are ${kind}`);
  if (!source.repeatable)
    throw new DoubtError(`--actions reads a file several times: expected a file, not ${source.name}`);
  if (actions.dividends !== null && actions.splits !== null) return;
  const alone =
    actions.adjustedClose === null ? "" : '; "Adj Close" alone doesn\'t tell what was paid or split';
  throw new DoubtError(
    `${source.name}: --actions needs the columns "Dividends" and "Stock Splits", 0 where there was none${alone}`,
  );
}

/** @throws DoubtError */
function decideRule(files: readonly PreparedFile[]): AdjustedFor {
  const file = files.find(({ layout }) => layout.actions.adjustedClose === null);
  if (file === undefined) return "split";
  throw new DoubtError(
    `${file.source.name}: what are its prices adjusted for, as no "Adj Close" stands beside them? --actions all: for splits and dividends, as yfinance gives them by itself (auto_adjust); --actions split: for splits; --actions raw: they are as they were traded`,
  );
}

type Visit = (ticker: string, date: string, actions: RowActions, close: number | null) => void;

async function forEachRow(files: readonly PreparedFile[], visit: Visit): Promise<void> {
  for (const file of files) {
    const [read, actionsOf] = [rowReader(file), actionReader(file)];
    for await (const rows of file.rows()) {
      for (const row of rows) {
        try {
          const { ticker, record } = read(row);
          const close = record.close === null ? null : Number(record.close);
          visit(ticker, String(record.date), actionsOf(row), close);
        } catch (error) {
          // A bad row is told when its turn comes.
          if (!(error instanceof CsvError)) throw error;
        }
      }
    }
  }
}

function actionReader({ layout }: PreparedFile): (row: FileRow) => RowActions {
  const { prices } = layout.rules();
  return ({ fields }) => readActions(layout.actions, fields, layout.header.names, prices);
}

function sortDays(of: TickerActions): void {
  of.days.sort((a, b) => (a.date < b.date ? -1 : 1));
  of.dates = of.days.map(({ date }) => date);
  of.spans = Array.from({ length: of.days.length + 1 }, () => ({ first: null, last: null }));
}

/** @throws DoubtError Prices jump at a split that they are said to be adjusted for, or don't. */
function checkJumps(ticker: string, { days, spans }: TickerActions, adjustedFor: AdjustedFor): void {
  for (const [at, { date, ratio }] of days.entries()) {
    if (ratio < CLEAR_RATIO && ratio > 1 / CLEAR_RATIO) continue;
    const [before, after] = [spans[at]!.last, spans[at + 1]!.first];
    if (before === null || after === null || daysBetween(before.date, after.date) > CLOSE_AGE_DAYS_MAX)
      continue;
    const jump = Math.log(before.close / after.close);
    const isRaw = Math.abs(jump - Math.log(ratio)) < Math.abs(jump);
    if (isRaw === (adjustedFor === "raw")) continue;
    throw new DoubtError(
      `${ticker}: the close is ${before.close} before the split of ${ratio} on ${date} and ${after.close} after it, so prices are ${isRaw ? "not " : ""}adjusted for splits: expected --actions ${isRaw ? "raw" : "split, or all where they are adjusted for dividends too"}`,
    );
  }
}

/** Finds the factors of each span, the last one first, and the actions as they were. */
function resolve(of: TickerActions, adjustedFor: AdjustedFor): void {
  const { days, spans, dates } = of;
  of.prices = spans.map(() => 1);
  of.volumes = spans.map(() => 1);
  let paid = 1;
  for (let at = days.length - 1; at >= 0; at--) {
    const { date, ratio, cash } = days[at]!;
    const splitAfter = of.volumes[at + 1]!;
    const isRaw = adjustedFor === "raw";
    of.volumes[at] = isRaw ? 1 : splitAfter * ratio;
    const close = spans[at]!.last?.close ?? null;
    // The close without the dividends after it is close / paid, and with this one cash more.
    if (adjustedFor === "all" && cash > 0 && close !== null) paid /= 1 + (cash * paid) / close;
    of.prices[at] = of.volumes[at]! / paid;
    if (cash > 0)
      of.actions.unshift({
        ...NO_ACTION,
        exDate: date,
        type: "dividend",
        cash: multiplied(cash, splitAfter, of.decimals.cash) as number,
      });
    if (ratio !== 1) of.actions.unshift({ ...NO_ACTION, exDate: date, type: "split", ratio });
  }
  of.adjustment = adjustmentOf(of.actions, "all", (exDate) => {
    const at = dates.indexOf(exDate);
    const last = spans[at]!.last;
    if (last === null || daysBetween(last.date, exDate) > CLOSE_AGE_DAYS_MAX) return null;
    return multiplied(last.close, of.prices[at]!, of.decimals.close) as number;
  });
  const newest = spans.findLast(({ last }) => last !== null)?.last;
  if (newest?.adjusted !== null && newest?.adjusted !== undefined) of.later = newest.adjusted / newest.close;
}

const NO_ACTION = { ratio: null, cash: null, basis: null, newTicker: null } as const;

function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / DAY_MS;
}

/** Rounded to what the digits of the file tell; to cents at most, below 1 to hundredths of them. */
function multiplied(
  value: CsvRecord[string] | undefined,
  factor: number,
  fileDecimals: number,
): CsvRecord[string] {
  if (typeof value !== "number" || factor === 1) return value ?? null;
  const exact = value * factor;
  const unsure = Math.max(10 ** -fileDecimals, Math.abs(value) * SINGLE) * factor;
  const told = Math.floor(-Math.log10(unsure));
  const decimals = Math.min(8, Math.max(Math.abs(exact) < 1 ? 4 : 2, told));
  return Number(exact.toFixed(decimals));
}

/** Shares are whole, where the file's are. */
function wholeIfWhole(volume: CsvRecord[string] | undefined, ratio: number): CsvRecord[string] {
  if (volume === null || volume === undefined) return null;
  const value = Number(volume) / ratio;
  return typeof volume === "bigint" || Number.isInteger(volume) ? Math.round(value) : value;
}
