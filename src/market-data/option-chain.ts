/** A chain of options: the newest snapshot of each contract, as a table. */
import type { FormatColumn } from "../formats/format-columns.ts";
import type { JsonForm } from "../formats/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import { BatchCells, typeOfColumn } from "../storage/column-cells.ts";
import type { NewestOfPartsQuery } from "../storage/contract.ts";
import { rowColumnNames } from "../storage/model/columns.ts";
import { kindOf } from "../storage/model/kinds.ts";
import { AnswerBatches } from "./answer-batches.ts";
import { usualColumns } from "./answer-columns.ts";
import type { AnswerTable } from "./contract.ts";
import { memberOf } from "./json-forms.ts";
import { storedValue } from "./newest-rows.ts";
import type { MarketSource } from "./questions.ts";

const BATCH_ROWS = 4_000;
const GREEKS = ["delta", "gamma", "theta", "vega", "rho"];
/** Of a quote, and what Alpaca's market data API calls them. */
const QUOTE = ["quote_timestamp", "bid", "ask"];

/** In order of the contracts, from one snapshot. @param query with all columns. */
export async function optionChain(
  query: NewestOfPartsQuery,
  zone: string,
  source: MarketSource,
  signal: AbortSignal,
): Promise<{ answer: AnswerTable; rows: () => number }> {
  let rows = 0;
  const shape = new AnswerBatches({
    table: "options",
    kind: "options",
    columns: usualColumns("options"),
    zone,
  });
  const kind = kindOf("options");
  const names = ["ticker", "option_ticker", ...rowColumnNames("options")];
  const found = await source.newestOfParts(query, signal);
  const answer: AnswerTable = {
    columns: shape.columns,
    names: new Map(),
    batches: (async function* () {
      const cells = new BatchCells(kind, names, BATCH_ROWS);
      for await (const records of answeredRows(found)) {
        rows += records.length;
        for (const record of records) {
          cells.add(names.map((name) => storedValue(record[name], typeOfColumn(kind, name))));
          if (cells.room === 0) yield shape.of(cells.end());
        }
      }
      if (cells.rows > 0) yield shape.of(cells.end());
    })(),
    nextPage: () => null,
    positions: null,
    warnings: () => [],
  };
  return { answer, rows: () => rows };
}

/** By contract, as Alpaca's market data API has snapshots of options where it has such members. */
export function optionsJson(columns: readonly FormatColumn[], end: () => Record<string, unknown>): JsonForm {
  const some = (names: readonly string[]) =>
    columns.filter(({ name }) => names.includes(name)).map((column) => memberOf("options", column));
  const nested = [...QUOTE, ...GREEKS, "symbol"];
  return {
    member: "snapshots",
    group: "symbol",
    isSingle: true,
    members: [
      { key: "latestQuote", members: some(QUOTE), present: QUOTE },
      { key: "greeks", members: some(GREEKS), present: GREEKS },
      ...columns.filter(({ name }) => !nested.includes(name)).map((column) => memberOf("options", column)),
    ],
    end,
  };
}
