/** Commands with random parameters, of which some are right. */
import fc from "fast-check";
import { COMMANDS } from "../../src/commands/index.ts";
import type { Fuzz } from "./fuzzes.ts";

/** What a caller can be at fault for, or may get. */
const STATUSES = [200, 400, 403, 404, 409, 413, 415, 429, 501];
const TEXTS = [
  "AAPL",
  "IBM",
  "FUZZ",
  "trade",
  "quote",
  "daily",
  "hourly",
  "replace",
  "keep",
  "error",
  "2024-01-02",
  "*",
];
const STAMPS = [
  "2024-01-02T15:00:00.123456Z",
  "2024-01-02",
  "1700000000",
  "20240102",
  "2 Jan 2024 10:00",
  "2024-13-01",
];

interface Input {
  command: string;
  params: Record<string, unknown>;
}

const text = fc.oneof(
  fc.constantFrom(...TEXTS, ...STAMPS),
  fc.string({ maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 10 }),
);
const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(0, -1, 1e308, 2 ** 53, 1_700_000_000_000_000),
);
const value = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.anything({ maxDepth: 3 }));
const row = fc.record(
  {
    timestamp: fc.oneof(fc.constantFrom(...STAMPS), value),
    date: fc.oneof(fc.constantFrom(...STAMPS), value),
    price: fc.oneof(number, value),
    size: fc.oneof(number, value),
    ask_price: value,
    open: number,
    close: fc.oneof(number, value),
    volume: fc.oneof(number, value),
    seq: value,
  },
  { requiredKeys: ["timestamp", "date", "price"] },
);
const params = fc.record(
  {
    ticker: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("AAPL", "IBM", "FUZZ") },
      { weight: 1, arbitrary: value },
    ),
    tickers: fc.oneof(fc.array(text, { maxLength: 5 }), value),
    data: fc.oneof(
      { weight: 5, arbitrary: fc.array(row, { maxLength: 4 }) },
      { weight: 1, arbitrary: value },
    ),
    index_col: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("timestamp", "date") },
      { weight: 1, arbitrary: value },
    ),
    data_type: fc.oneof(fc.constantFrom("trade", "quote", "both", "depth"), value),
    interval: fc.oneof(fc.constantFrom("daily", "hourly"), value),
    kind: fc.oneof(fc.constantFrom("daily", "hourly", "ticks"), value),
    on_duplicate: fc.oneof(fc.constantFrom("replace", "ignore", "keep", "error"), value),
    start_date: value,
    end_date: value,
    start_datetime: value,
    end_datetime: value,
    limit: fc.oneof(fc.integer({ min: 1, max: 100 }), value),
    since: value,
    epoch: value,
    after: value,
    include_seq: value,
    times: value,
  },
  { requiredKeys: ["ticker"] },
);

export const commands: Fuzz<Input> = {
  name: "commands",
  input: () =>
    fc.record({
      command: fc.oneof(
        {
          weight: 20,
          arbitrary: fc.constantFrom(...[...COMMANDS.keys()].filter((name) => name !== "execute_sql")),
        },
        { weight: 1, arbitrary: fc.string() },
      ),
      params: params as fc.Arbitrary<Record<string, unknown>>,
    }),
  async send(target, { command, params }) {
    const body = JSON.stringify({ command, params }, (_, member) =>
      typeof member === "bigint" ? String(member) : member,
    );
    const { status, text: answer } = await target.post(body);
    if (!STATUSES.includes(status))
      throw new Error(`${status} ${answer.slice(0, 300)} to ${body.slice(0, 600)}`);
    JSON.parse(answer);
  },
};
