/**
 * The moving averages that a ticker should have after some steps of a transcript, worked out from
 * what those steps saved and from the definition alone: every bar anew, over its own window or from
 * the seed on.
 */
import { compareJson } from "./compare.ts";
import type { Expectation } from "./expectations.ts";
import { isObject, type Json, type JsonObject, parseJson } from "./json.ts";
import { requestBodyText } from "./request-bytes.ts";
import type { Step } from "./transcript.ts";

const SMA_PERIODS = [10, 50, 100, 200];
const EMA_PERIODS = [8, 21, 34, 55, 89];

/** The answer to `select date, close, ma_10 … ema_89 … where ticker=? [and date>='…']`. */
export const averagesOfWholeSeries: Expectation = (got, { step, steps }) => {
  const query = paramsOf(step) ?? {};
  const ticker = Array.isArray(query.query_params) ? query.query_params[0] : null;
  const [, comparison, date = ""] = /date(>?=)'([^']+)'/.exec(String(query.sql_query)) ?? [];
  const closes = closesOf(String(ticker), steps.slice(0, steps.indexOf(step)));
  const expected = withAverages(closes).filter(
    (row) => comparison === undefined || (comparison === "=" ? row.date === date : String(row.date) >= date),
  );
  return compareJson(expected, isObject(got.body) ? got.body.data : undefined, "body.data");
};

/** Close by date, as the steps leave it. */
function closesOf(ticker: string, steps: Step[]): Map<string, number | null> {
  const closes = new Map<string, number | null>();
  for (const params of steps.map(paramsOf)) {
    if (params?.ticker === ticker && Array.isArray(params.data)) {
      for (const row of params.data.filter(isObject)) {
        const close = row.close ?? null;
        closes.set(String(row.date).slice(0, 10), close === null ? null : Number(close));
      }
    }
    const inserted = String(params?.sql_query ?? "").matchAll(/\('(\w+)','([\d-]+)',1,2,0\.5,([\d.]+),10\)/g);
    for (const [, insertedTicker, date = "", close] of inserted) {
      if (insertedTicker === ticker) closes.set(date, Number(close));
    }
  }
  return closes;
}

function paramsOf(step: Step): JsonObject | null {
  const text = step.request === undefined ? null : requestBodyText(step.request);
  const body = text === null ? null : parseJson(text);
  return isObject(body ?? undefined) && isObject((body as JsonObject).params)
    ? ((body as JsonObject).params as JsonObject)
    : null;
}

function withAverages(closeByDate: Map<string, number | null>): JsonObject[] {
  const days = [...closeByDate].sort(([a], [b]) => (a < b ? -1 : 1));
  const closes = days.flatMap(([, close]) => (close === null ? [] : [close]));
  let index = -1;
  return days.map(([date, close]) => {
    if (close !== null) index += 1;
    const row: JsonObject = { date, close };
    for (const period of SMA_PERIODS)
      row[`ma_${period}`] = close === null ? null : sma(closes, index, period);
    for (const period of EMA_PERIODS)
      row[`ema_${period}`] = close === null ? null : ema(closes, index, period);
    return row;
  });
}

function sma(closes: number[], index: number, period: number): Json {
  return index < period - 1 ? null : rounded(mean(closes, index, period));
}

function ema(closes: number[], index: number, period: number): Json {
  if (index < period - 1) return null;
  const weight = 2 / (period + 1);
  let average = mean(closes, period - 1, period);
  for (const close of closes.slice(period, index + 1)) average = close * weight + average * (1 - weight);
  return rounded(average);
}

function mean(closes: number[], index: number, period: number): number {
  return closes.slice(index - period + 1, index + 1).reduce((sum, close) => sum + close, 0) / period;
}

/**
 * To 4 decimals, below 1 to 8 significant digits. `toFixed` rounds correctly but for exact ties,
 * which go to the even digit.
 */
function rounded(value: number): number {
  if (Math.abs(value) < 1) return Number(value.toPrecision(8));
  const isTie = Math.abs((value * 32) % 2) === 1;
  return isTie ? (2 * Math.round(value * 5000)) / 10_000 : Number(value.toFixed(4));
}
