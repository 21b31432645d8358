/** The question of a chain of options. */
import { z } from "zod";
import { optionChain, optionsJson } from "../../market-data/option-chain.ts";
import { badRequest } from "../../protocol/errors.ts";
import { readOptionChain } from "../option-chains.ts";
import * as p from "./parameters.ts";
import type { OpenedQuestion, QuestionContext } from "./stored.ts";

export const OPTIONS_PARAMETERS = z.object({
  underlying: p.underlying,
  contracts: p.symbols.optional(),
  type: p.choice(["call", "put"], "Contracts of this type alone.").optional(),
  strike_price_gte: p.number("The lowest strike.", 150).optional(),
  strike_price_lte: p.number("The highest strike.", 250).optional(),
  expiration_date: p.date("The date on which they expire.").optional(),
  expiration_date_gte: p.date("The first date on which they expire.").optional(),
  expiration_date_lte: p.date("The last date on which they expire.").optional(),
  as_of: p
    .stampOf("The moment of the chain; contracts that had expired by then are left out. Default: now.")
    .optional(),
  tz: p.tz.optional(),
});

/** @throws RequestError 400 */
export async function openOptions(
  asked: z.output<typeof OPTIONS_PARAMETERS>,
  { reader, marketTimezone }: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  const { underlying, expiration_date: date, expiration_date_gte: from, expiration_date_lte: to } = asked;
  if (date !== undefined && (from ?? to) !== undefined)
    throw badRequest("expiration_date: got it beside a first or last date, expected one of them");
  const query = readOptionChain(
    {
      ...{ ticker: underlying, option_tickers: asked.contracts, option_type: asked.type, as_of: asked.as_of },
      ...{ strike_min: asked.strike_price_gte, strike_max: asked.strike_price_lte, expiration_date: date },
    },
    marketTimezone,
  );
  if ((from ?? to) !== undefined)
    query.where.push({ column: "expiration_date", from: from ?? null, to: to ?? null });
  const { answer, rows } = await optionChain(query, asked.tz ?? "UTC", reader, signal);
  const warnings = async (): Promise<string[]> => {
    if (rows() > 0 || (await reader.parts("options", underlying)).length > 0) return [];
    return [`${underlying}: no options are stored`];
  };
  return { table: "options", answer, isPage: true, json: optionsJson, unknown: { warnings } };
}
