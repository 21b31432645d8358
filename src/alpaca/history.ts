/** Bars, trades and quotes for Alpaca's clients, page by page. */
import { ALL_BARS_PARAMETERS, openAllBars } from "../commands/questions/derived.ts";
import { readParameters } from "../commands/questions/parameters.ts";
import {
  type OpenedQuestion,
  openTicks,
  type QuestionContext,
  TICKS_PARAMETERS,
} from "../commands/questions/stored.ts";
import { PAGE_ROWS_MAX, sourceOf } from "../market-data/page-source.ts";
import { badRequest } from "../protocol/errors.ts";
import { stringifyExact } from "../protocol/json.ts";
import { turn } from "../time/pauses.ts";
import { rowReader } from "./batch-rows.ts";
import { historyNames, readLimit, readQuery, readRange, readSymbols } from "./rest-parameters.ts";
import type { RestTable } from "./rest-paths.ts";

/** Made into text in one turn of the event loop: some milliseconds. */
const TURN_ROWS = 2_000;

export interface RestAnswer {
  text: string;
  /** What a reader must know, a sentence each. Alpaca's JSON has no place for it. */
  warnings: readonly string[];
}

/** @param symbol of the path; null: the query names them. @throws RequestError 400, 503 */
export async function answerHistory(
  { table, symbol }: { table: RestTable; symbol: string | null },
  query: URLSearchParams,
  context: QuestionContext,
  signal: AbortSignal,
): Promise<RestAnswer> {
  const { reader, marketTimezone } = context;
  const pages = { reader: sourceOf(reader, PAGE_ROWS_MAX), marketTimezone };
  const { answer, unknown } = await open({ table, symbol }, query, pages, signal);
  const rows = await textsBySymbol(table, answer);
  const warnings = [...answer.warnings(), ...((await unknown?.warnings()) ?? [])];
  const next = JSON.stringify(answer.nextPage());
  if (symbol !== null) {
    const [own = []] = rows.values();
    const head = `{"symbol":${JSON.stringify(symbol)},"${table}":`;
    return { text: `${head}[${own.join(",")}],"next_page_token":${next}}`, warnings };
  }
  const members = [...rows].map(([ticker, texts]) => `${JSON.stringify(ticker)}:[${texts.join(",")}]`);
  return { text: `{"${table}":{${members.join(",")}},"next_page_token":${next}}`, warnings };
}

async function open(
  { table, symbol }: { table: RestTable; symbol: string | null },
  parameters: URLSearchParams,
  context: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  const names = [...historyNames(table), ...(symbol === null ? ["symbols"] : [])];
  const query = readQuery(parameters, names);
  const { timeframe, adjustment, sort, page_token } = query;
  if (table === "bars" && timeframe === undefined)
    throw badRequest("timeframe: it is missing, expected a length of bars such as 1Min or 1Day");
  const { marketTimezone } = context;
  const asked = {
    symbols: readSymbols(query, symbol),
    ...readRange(query, timeframe ?? null, marketTimezone),
    ...{ limit: readLimit(query), tz: marketTimezone },
    ...(sort === undefined ? {} : { sort }),
    ...(page_token === undefined ? {} : { page_token }),
  };
  if (table !== "bars") {
    const read = readParameters(table, TICKS_PARAMETERS, asked);
    return openTicks(table === "trades" ? "trade" : "quote", read, context, signal);
  }
  const ofBars = { ...asked, timeframe, ...(adjustment === undefined ? {} : { adjustment }) };
  return openAllBars(readParameters(table, ALL_BARS_PARAMETERS, ofBars), context, signal);
}

/** The JSON of each row, in order of symbol and time. */
async function textsBySymbol(
  table: RestTable,
  { batches }: OpenedQuestion["answer"],
): Promise<Map<string, string[]>> {
  const texts = new Map<string, string[]>();
  for await (const batch of batches) {
    const read = rowReader(table, batch);
    for (let row = 0; row < batch.rows; row++) {
      if (row % TURN_ROWS === TURN_ROWS - 1) await turn();
      const { symbol, members } = read(row);
      if (members === null) continue;
      const own = texts.get(symbol);
      if (own === undefined) texts.set(symbol, [stringifyExact(members)]);
      else own.push(stringifyExact(members));
    }
  }
  return texts;
}
