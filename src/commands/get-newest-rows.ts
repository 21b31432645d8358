import {
  parseBound,
  parseCalendarDate,
  parseTimestamp,
  TimestampError,
  toHourly,
} from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { isObject, isText } from "../protocol/json.ts";
import type { NewestOfPartsQuery, ValueBounds } from "../storage/contract.ts";
import { answerColumns, type ColumnType, kindOf, type RowKind } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { readKind } from "./get-tickers.ts";
import { isMissing, requireTicker, show } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

const SERIES_MAX = 10_000;
const FILTERS_MAX = 20;
const TEXT_MAX = 1_024;

export const getNewestRows: Command = {
  name: "get_newest_rows",
  scope: "read",
  about: "The newest row of each series of a ticker, such as of each contract or each type of ticks.",
  params: ["kind", "ticker", "series", "from", "to", "by", "where", "columns"],
  async run({ params, signal }, { reader }) {
    return toAnswer(await reader.newestOfParts(readQuery(params), signal), "No rows found");
  },
};

function readQuery(params: Record<string, unknown>): NewestOfPartsQuery {
  const name = readKind(params.kind);
  const kind = kindOf(name);
  if (kind.part === null) throw badRequest(`kind: got ${show(name)}, expected one that has several series`);
  return {
    kind: name,
    ticker: requireTicker(params.ticker, "Missing 'ticker'"),
    parts: readTexts(params.series, "series", SERIES_MAX),
    from: readStampBound(params, "from", "start", kind),
    to: readStampBound(params, "to", "end", kind),
    by: readBy(params.by),
    where: readFilters(params.where, kind),
    columns: readColumns(params.columns, kind),
  };
}

function readBy(value: unknown): "stamp" | "written" {
  if (value === undefined || value === null || value === "stamp") return "stamp";
  if (value === "written") return value;
  throw badRequest(`by: got ${show(value)}, expected "stamp" or "written"`);
}

function readStampBound(
  params: Record<string, unknown>,
  name: string,
  edge: "start" | "end",
  { stamp }: RowKind,
): string | null {
  return inWords(name, () => parseBound(params[name], edge, stamp.type));
}

function readTexts(value: unknown, name: string, max: number): string[] | null {
  if (value === undefined || value === null) return null;
  const isOne = (text: unknown): text is string =>
    isText(text) && text.length <= TEXT_MAX && text.isWellFormed();
  if (Array.isArray(value) && value.length <= max && value.every(isOne)) return value;
  throw badRequest(`${name}: got ${show(value)}, expected a list of at most ${max} texts`);
}

function readColumns(value: unknown, kind: RowKind): string[] | null {
  const known = answerColumns(kind).map(({ name }) => name);
  const names = readTexts(value, "columns", known.length);
  if (names === null || (names.length > 0 && names.every((name) => known.includes(name)))) return names;
  throw badRequest(`columns: got ${show(value)}, expected some of ${known.join(", ")}`);
}

function readFilters(value: unknown, { values }: RowKind): ValueBounds[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > FILTERS_MAX || !value.every(isObject))
    throw badRequest(
      `where: got ${show(value)}, expected a list of at most ${FILTERS_MAX} objects {"column", "from", "to"}`,
    );
  return value.map(({ column: name, from, to }, index) => {
    const column = values.find((each) => each.name === name);
    if (column === undefined)
      throw badRequest(
        `where[${index}].column: got ${show(name)}, expected one of ${values.map((each) => each.name).join(", ")}`,
      );
    const read = (bound: unknown, edge: string) =>
      readFilterBound(bound, column.type, `where[${index}].${edge}`);
    return { column: column.name, from: read(from, "from"), to: read(to, "to") };
  });
}

function readFilterBound(value: unknown, type: ColumnType, name: string): string | number | null {
  if (isMissing(value) && value !== 0) return null;
  switch (type) {
    case "double":
    case "count":
      if (typeof value === "number") return value;
      break;
    case "date":
      return inWords(name, () => parseCalendarDate(value));
    case "instant":
      return inWords(name, () => parseTimestamp(value));
    case "second":
      return inWords(name, () => toHourly(parseTimestamp(value)!));
    default:
      if (isText(value) && value.length <= TEXT_MAX && value.isWellFormed()) return value;
  }
  throw badRequest(`${name}: got ${show(value)}, expected ${type === "text" ? "a text" : "a number"}`);
}

/** @throws RequestError 400 in the words of what can't be read. */
function inWords<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`${name}: ${error.message}`);
    throw error;
  }
}
