/** What the scenario `questions` asks, and how it looks at the answers. */
import { tableFromIPC } from "apache-arrow";
import type { EngineName } from "../test/support/flags.ts";
import type { DuckDbQuestions, ReadSum } from "./floors/duckdb-questions.ts";
import {
  type BarDays,
  barRows,
  JOINED,
  JOINED_TRADES,
  joinedPrices,
  QUOTES,
  TRADES,
} from "./question-data.ts";

export type QuestionKey = "trades" | "closes" | "minutes" | "asof" | "json";

export interface BenchQuestion {
  key: QuestionKey;
  name: string;
  path: string;
  /** Rows that are read; the rate counts them. */
  rows: number;
  unit: string;
  /** Of an answer's bytes: what a floor has found too. */
  found(bytes: Uint8Array): ReadSum;
  /** Null: there is none. */
  floor: ((floors: QuestionFloors) => Promise<ReadSum>) | null;
  /** What both have to find. An answer has to find all that its floor has found. */
  expected: Partial<ReadSum>;
  floorName: string;
  target: number | null;
  /** Of the seconds. */
  secondsMax: Partial<Record<EngineName, number>>;
}

export interface QuestionFloors {
  /** The trades, by the engine's driver. */
  trades(): Promise<ReadSum>;
  duckdb: DuckDbQuestions;
}

export function questionsOf(engine: EngineName, days: BarDays): BenchQuestion[] {
  const thousand = (rows: number): string => rows.toLocaleString("en-US");
  const joined = JOINED.join(",");
  return [
    {
      key: "trades",
      name: `${thousand(TRADES)} trades as Arrow`,
      path: "/v1/trades?symbols=*&format=arrow",
      rows: TRADES,
      unit: " rows/s",
      found: (bytes) => ofArrow(bytes, ["price"]),
      floor: ({ trades }) => trades(),
      expected: { rows: TRADES },
      floorName: "the same columns by the bare driver",
      target: 0.6,
      secondsMax: {},
    },
    {
      key: "closes",
      name: `closes of 500 tickers on ${thousand(days)} days as a matrix`,
      path: "/v1/bars?symbols=*&timeframe=1Day&layout=wide&columns=close&format=arrow",
      rows: barRows(days),
      unit: " cells/s",
      found: (bytes) => ofMatrix(bytes),
      floor: ({ duckdb }) => duckdb.closes(),
      expected: { rows: barRows(days) },
      floorName: "DuckDB, out of Parquet",
      target: engine === "duckdb" ? 0.5 : null,
      secondsMax: { sqlite: 1.5 },
    },
    {
      key: "minutes",
      name: `bars of a minute out of ${thousand(QUOTES)} quotes`,
      path: "/v1/bars?symbols=*&timeframe=1Min&source=quotes&price=mid&format=arrow",
      rows: QUOTES,
      unit: " quotes/s",
      found: (bytes) => ofArrow(bytes, ["close"]),
      floor: ({ duckdb }) => duckdb.minuteBars(),
      expected: {},
      floorName: "SQL of DuckDB's",
      target: null,
      secondsMax: { sqlite: 0.8, duckdb: 0.1 },
    },
    {
      key: "asof",
      name: `${thousand(JOINED_TRADES)} trades, each with its quote of as many`,
      path: `/v1/asof?left=trades&right=quotes&symbols=${joined}&columns=price,size&right_columns=bid_price,ask_price&format=arrow`,
      rows: JOINED_TRADES,
      unit: " trades/s",
      found: (bytes) => ofArrow(bytes, ["quote_bid_price"]),
      floor: ({ duckdb }) => duckdb.asOf(),
      expected: { rows: JOINED_TRADES },
      floorName: "DuckDB's ASOF JOIN",
      target: 0.33,
      secondsMax: {},
    },
    {
      key: "json",
      name: `${thousand(JOINED_TRADES)} trades as JSON`,
      path: `/v1/trades?symbols=${joined}`,
      rows: JOINED_TRADES,
      unit: " rows/s",
      found: ofJson,
      floor: null,
      expected: { rows: JOINED_TRADES, sum: joinedPrices() },
      floorName: "",
      target: null,
      secondsMax: { duckdb: 0.25 },
    },
  ];
}

/** Every row has a value. */
function ofArrow(bytes: Uint8Array, columns: string[]): ReadSum {
  const table = tableFromIPC(bytes);
  let sum = 0;
  for (const name of columns) for (const value of table.getChild(name)!.toArray()) sum += value;
  return { rows: table.numRows, sum };
}

/** Its cells. */
function ofMatrix(bytes: Uint8Array): ReadSum {
  const names = tableFromIPC(bytes)
    .schema.fields.slice(1)
    .map(({ name }) => name);
  const { rows, sum } = ofArrow(bytes, names);
  return { rows: rows * names.length, sum };
}

function ofJson(bytes: Uint8Array): ReadSum {
  const { trades } = JSON.parse(Buffer.from(bytes).toString()) as { trades: Record<string, { p: number }[]> };
  const all = Object.values(trades).flat();
  return { rows: all.length, sum: all.reduce((sum, { p }) => sum + p, 0) };
}
