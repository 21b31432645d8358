/** What the description of /v1 says of a POST that brings rows. */
import type { WrittenTable } from "../../commands/writes/sent-names.ts";
import { columnsOf } from "../../market-data/answer-columns.ts";
import { ARROW_STREAM, JSON_TYPE, PARQUET } from "../../protocol/media-types.ts";

type ExampleRow = Record<string, string | number | null>;

const ROWS: Record<WrittenTable, ExampleRow[]> = {
  bars: [
    {
      symbol: "AAPL",
      timestamp: "2024-01-02",
      open: 187.15,
      high: 188.44,
      low: 183.89,
      close: 185.64,
      volume: 82488700,
    },
    {
      symbol: "SPY",
      timestamp: "2024-01-02",
      open: 472.16,
      high: 473.67,
      low: 470.49,
      close: 472.65,
      volume: 123623700,
    },
  ],
  trades: [
    { symbol: "AAPL", timestamp: "2024-01-02T14:30:00.123456Z", price: 187.15, size: 100, id: "1" },
    { symbol: "SPY", timestamp: "2024-01-02T14:30:00.250000Z", price: 472.16, size: 50, id: "2" },
  ],
  quotes: [
    {
      ...{ symbol: "AAPL", timestamp: "2024-01-02T14:30:00.123456Z" },
      ...{ bid_price: 187.14, bid_size: 200, ask_price: 187.16, ask_size: 300 },
    },
    {
      ...{ symbol: "SPY", timestamp: "2024-01-02T14:30:00.250000Z" },
      ...{ bid_price: 472.15, bid_size: 100, ask_price: 472.17, ask_size: 100 },
    },
  ],
};

/** @param question the schema of a body with parameters. */
export function writeContent(table: WrittenTable, question: object): Record<string, object> {
  const rows = ROWS[table];
  const names = Object.keys(rows[0]!);
  const lines = rows.map((row) => names.map((name) => row[name] ?? "").join(","));
  const text = { type: "string" };
  const binary = { type: "string", format: "binary" };
  const described = columnsOf(table)
    .map(({ name, short }) => (name === short ? name : `${name} (${short})`))
    .join(", ");
  const list = { type: "array", items: { type: "object" }, description: `Rows with ${described}.` };
  return {
    [JSON_TYPE]: {
      schema: {
        anyOf: [question, list, { type: "object", description: "An answer of a GET, in any of its forms." }],
      },
      examples: {
        rows: { value: rows },
        answer: { value: { [table]: Object.fromEntries(rows.map(({ symbol, ...row }) => [symbol, [row]])) } },
        columns: {
          value: { columns: Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])])) },
        },
      },
    },
    "application/x-ndjson": {
      schema: text,
      example: rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    },
    "text/csv": { schema: text, example: [names.join(","), ...lines, ""].join("\n") },
    [ARROW_STREAM]: { schema: binary },
    [PARQUET]: { schema: binary },
  };
}
