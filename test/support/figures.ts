/** Option snapshots and financial figures, with values that engines or JSON could spoil. */
import type { SaveRows } from "../../src/storage/contract.ts";
import { kindOf, type SeriesRow, type SeriesValue } from "../../src/storage/model/kinds.ts";

/** A row of the kind, of the values that are named; the others are null. */
export function rowOf(
  kind: "options" | "financial",
  stamp: string,
  values: Record<string, SeriesValue>,
): SeriesRow {
  return [stamp, ...kindOf(kind).values.map(({ name }) => values[name] ?? null)];
}

/** Three series. */
export const FIGURES: SaveRows[] = [
  {
    kind: "options",
    ticker: "IBM",
    part: null,
    parts: ["O:IBM240119C00150000", "O:IBM240119P00150000"],
    rows: [
      rowOf("options", "2024-01-02 15:00:00.000001", {
        expiration_date: "2024-01-19",
        option_type: "call",
        volume: 3,
      }),
      rowOf("options", "2024-01-02 15:00:00.000001", {
        expiration_date: "2024-01-19",
        last_quote_timestamp: "2024-01-02 14:59:59.999999",
        bid: 0.1 + 0.2,
        open_interest: "9007199254740993",
      }),
    ],
    onDuplicate: "replace",
  },
  {
    kind: "financial",
    ticker: "IBM",
    part: null,
    rows: [
      rowOf("financial", "2024-01-02", { market_cap: "9007199254740993", iv_analysis_json: '{"é":"a,\\n"}' }),
      rowOf("financial", "2024-01-03", { price: 1, iv_analysis_spare: "" }),
    ],
    onDuplicate: "replace",
  },
];
