/** get_bars, get_trades and others: the questions of /v1 as commands, answered in JSON. */
import type { z } from "zod";
import type { MarketTable } from "../../market-data/answer-columns.ts";
import { CountTypeMemory, encodeTable } from "../../market-data/encode-table.ts";
import { jsonForm } from "../../market-data/json-forms.ts";
import { atClientsPace } from "../../protocol/clients-pace.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Command } from "../context.ts";
import { AS_OF_PARAMETERS, openAsOf } from "./as-of.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "./derived.ts";
import { jsonFormat, readParameters } from "./parameters.ts";
import { type OpenedQuestion, openTicks, type QuestionContext, TICKS_PARAMETERS } from "./stored.ts";

const FORMAT = { format: jsonFormat.optional() };

export const getBars = question(
  "get_bars",
  "Bars of one length of many tickers, as GET /v1/bars gives them.",
  ALL_BARS_PARAMETERS,
  openAllBars,
);

export const getTrades = question(
  "get_trades",
  "Trades of many tickers, as GET /v1/trades gives them.",
  TICKS_PARAMETERS,
  (...of) => openTicks("trade", ...of),
);

export const getQuotes = question(
  "get_quotes",
  "Quotes of many tickers, as GET /v1/quotes gives them.",
  TICKS_PARAMETERS,
  (...of) => openTicks("quote", ...of),
);

export const getAsOf = question(
  "get_asof",
  "Rows of one table, each with the row of another that was the newest by then, as GET /v1/asof.",
  AS_OF_PARAMETERS,
  openAsOf,
);

function question<S extends z.ZodRawShape>(
  name: string,
  about: string,
  parameters: z.ZodObject<S>,
  open: (asked: never, context: QuestionContext, signal: AbortSignal) => Promise<OpenedQuestion>,
): Command {
  const schema = parameters.extend(FORMAT);
  const names = Object.keys(schema.shape);
  return {
    name,
    about,
    params: names,
    async run({ params, signal }, context) {
      // Whoever runs commands warns of others.
      const known = Object.fromEntries(Object.entries(params).filter(([key]) => names.includes(key)));
      const { format, ...asked } = readParameters(name, schema, known) as Record<string, unknown>;
      const { table, answer, isPage, isSingle, json, unknown } = await open(asked as never, context, signal);
      const { bytes, pieces } = await encodeTable(answer, {
        format: format === "columns" ? format : "json",
        ...{ isPage, table, counts: new CountTypeMemory() },
        json: json ?? ((columns, end) => jsonForm(table as MarketTable, columns, end, isSingle)),
        warnings: async () => [...answer.warnings(), ...((await unknown?.warnings()) ?? [])],
        onBroken: (error) => context.warn(`${name}: an answer was broken off: ${messageOf(error)}`),
      });
      return bytes ?? atClientsPace(pieces);
    },
  };
}
