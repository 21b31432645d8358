/** What answers the commands get_bars, get_trades and others: the questions of /v1, in JSON. */
import type { z } from "zod";
import type { MarketTable } from "../../market-data/answer-columns.ts";
import { CountTypeMemory, encodeTable } from "../../market-data/encode-table.ts";
import { jsonForm } from "../../market-data/json-forms.ts";
import { sourceOf } from "../../market-data/page-source.ts";
import { atClientsPace } from "../../protocol/clients-pace.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Answer, CommandCall, CommandContext } from "../context.ts";

import { AS_OF_PARAMETERS, openAsOf } from "./as-of.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "./derived.ts";
import { jsonFormat, readParameters } from "./parameters.ts";
import { type OpenedQuestion, openTicks, type QuestionContext, TICKS_PARAMETERS } from "./stored.ts";

export type QuestionName = "get_bars" | "get_trades" | "get_quotes" | "get_asof";

interface QuestionCommand {
  parameters: z.ZodObject;
  open(asked: never, context: QuestionContext, signal: AbortSignal): Promise<OpenedQuestion>;
}

const FORMAT = { format: jsonFormat.optional() };

export const QUESTIONS: Readonly<Record<QuestionName, QuestionCommand>> = {
  get_bars: { parameters: ALL_BARS_PARAMETERS.extend(FORMAT), open: openAllBars },
  get_trades: { parameters: TICKS_PARAMETERS.extend(FORMAT), open: (...of) => openTicks("trade", ...of) },
  get_quotes: { parameters: TICKS_PARAMETERS.extend(FORMAT), open: (...of) => openTicks("quote", ...of) },
  get_asof: { parameters: AS_OF_PARAMETERS.extend(FORMAT), open: openAsOf },
};

/** @throws RequestError 400, 503 */
export async function answerQuestion(
  name: QuestionName,
  { params, signal }: Pick<CommandCall, "params" | "signal">,
  context: CommandContext,
): Promise<Answer> {
  const { parameters, open } = QUESTIONS[name];
  // Whoever runs commands warns of others.
  const known = Object.entries(params).filter(([key]) => Object.hasOwn(parameters.shape, key));
  const read: Record<string, unknown> = readParameters(name, parameters, Object.fromEntries(known));
  const { format, ...asked } = read;
  const { reader, marketTimezone } = context;
  const source = { reader: sourceOf(reader, (asked as { limit?: number }).limit), marketTimezone };
  const { table, answer, isPage, isSingle, json, unknown } = await open(asked as never, source, signal);
  const { bytes, pieces } = await encodeTable(answer, {
    format: format === "columns" ? format : "json",
    ...{ isPage, table, counts: new CountTypeMemory() },
    json: json ?? ((columns, end) => jsonForm(table as MarketTable, columns, end, isSingle)),
    warnings: async () => [...answer.warnings(), ...((await unknown?.warnings()) ?? [])],
    onBroken: (error) => context.warn(`${name}: an answer was broken off: ${messageOf(error)}`),
  });
  return bytes ?? atClientsPace(pieces);
}
