/**
 * Parameters of questions, as URLs and JSON bring them. Each says what it expects: errors and the
 * description of the API come from here.
 */
import { z } from "zod";
import { nearest } from "../../config/nearest.ts";
import { TICKER_LENGTH_MAX } from "../../market/ticker.ts";
import { parseCalendarDate, TimestampError } from "../../market/timestamp.ts";
import { zoneOf } from "../../market/zone.ts";
import { TABLE_FORMATS } from "../../market-data/encode-table.ts";
import { SYMBOLS_MAX } from "../../market-data/symbols.ts";
import { badRequest } from "../../protocol/errors.ts";
import { show } from "../params.ts";

/** Rows of a page. */
const LIMIT_MAX = 100_000;
/** No name of a parameter is longer, and it takes time to compare long ones. */
const NAME_LENGTH_MAX = 64;

/** What an error says behind "expected". */
const expectations = new WeakMap<z.ZodType, string>();

interface About {
  description: string;
  expected: string;
  example?: unknown;
  /** In a URL: a list whose members commas divide. */
  isList?: true;
}

export function described<T extends z.ZodType>(schema: T, { expected, example, ...about }: About): T {
  const described = schema.meta({ ...about, ...(example === undefined ? {} : { example }) }) as T;
  expectations.set(described, expected);
  return described;
}

const list = z.union([z.string(), z.array(z.string())]);

function listOf(text: string | string[]): string[] {
  const parts = typeof text === "string" ? text.split(",") : text;
  return [...new Set(parts.map((part) => part.trim()).filter((part) => part !== ""))];
}

const isTicker = (text: string): boolean =>
  text !== "" && text.length <= TICKER_LENGTH_MAX && text.isWellFormed() && !text.includes("\0");

export const symbols = described(
  list
    .transform(listOf)
    .refine((names) => names.length > 0 && names.length <= SYMBOLS_MAX && names.every(isTicker)),
  {
    description:
      "Tickers, with commas between them. `*` stands for all, and `AA*` for those that begin with AA.",
    expected: `1 to ${SYMBOLS_MAX} tickers with commas between them, such as AAPL,SPY, or * or AA*`,
    example: "AAPL,SPY",
    isList: true,
  },
);

export const symbol = described(z.string().refine(isTicker), {
  description: "One ticker, as it is stored: commas and stars in it mean nothing.",
  expected: `a ticker of at most ${TICKER_LENGTH_MAX} characters`,
});

const EXPECTED_STAMP = "a date such as 2024-01-02, or a moment such as 2024-01-02T14:30:00Z";
/** Read by whoever knows the form of the stamps. */
const stamp = z.union([z.string(), z.number()]);

export const timeframe = text({
  description:
    "The length of the bars: 1Min, 5Min, 1Hour, 1Day, 1Week, 90s, or as stored bars are named (5min, hourly, daily).",
  expected: "a length of bars such as 1Min, 1Hour or 1Day",
  example: "1Day",
});

export const start = described(stamp, {
  description:
    "The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.",
  expected: EXPECTED_STAMP,
  example: "2024-01-02",
});

export const end = described(stamp, {
  description: "The last moment, inclusive. A date is the whole day.",
  expected: EXPECTED_STAMP,
  example: "2024-01-03",
});

export const sqlParams = described(z.union([z.string(), z.array(z.unknown())]), {
  description: "Values for the statement's parameters, a JSON list.",
  expected: "a JSON list",
  example: "[]",
});

export function date(description: string, example?: string) {
  const calendarDate = z.string().transform((text, context) => {
    try {
      const read = parseCalendarDate(text);
      if (read !== null) return read;
    } catch (error) {
      if (!(error instanceof TimestampError)) throw error;
    }
    context.addIssue("no date");
    return z.NEVER;
  });
  return described(calendarDate, { description, expected: "a date such as 2024-01-02", example });
}

export function number(description: string, example?: number) {
  const decimal = z.union([z.number(), z.string().regex(/^-?\d{1,15}(\.\d{1,15})?$/)]).transform(Number);
  return described(decimal, { description, expected: "a number", example });
}

export function stampOf(description: string) {
  return described(stamp, { description, expected: EXPECTED_STAMP });
}

export const underlying = described(z.string().refine(isTicker), {
  description: "The ticker of the underlying.",
  expected: "a ticker such as AAPL",
  example: "AAPL",
});

export function limitOf(max: number, description: string) {
  const rows = z
    .union([z.int().min(1).max(max), z.string().regex(/^\d{1,9}$/)])
    .transform(Number)
    .refine((count) => count >= 1 && count <= max);
  return described(rows, { description, expected: `a whole number from 1 to ${max}`, example: 1000 });
}

export const limit = limitOf(
  LIMIT_MAX,
  "So many rows at most, over all tickers. Without it the answer has all, as a stream.",
);

export const pageToken = described(z.string(), {
  description: "`next_page_token` of the page before. All other parameters must be the same.",
  expected: "the next_page_token of an answer to the same question",
});

export const sort = described(z.enum(["asc", "desc"]), {
  description: "The order of stamps within each ticker. Tickers ascend.",
  expected: '"asc" or "desc"',
});

export const tz = described(
  z.string().refine((zone) => zoneOf(zone) !== null),
  {
    description: "The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.",
    expected: 'an IANA time zone such as "America/New_York"',
    example: "America/New_York",
  },
);

export const columns = described(
  list.transform(listOf).refine((names) => names.length > 0),
  {
    description:
      "Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.",
    expected: "names of columns with commas between them",
    isList: true,
  },
);

export const format = described(z.enum(TABLE_FORMATS), {
  description: "The form of the answer. Default: what `Accept` names, else json.",
  expected: `one of ${TABLE_FORMATS.join(", ")}`,
});

export const jsonFormat = described(z.enum(["json", "columns"]), {
  description: "The form of the answer: objects, or a list for each column.",
  expected: '"json" or "columns"',
});

export function flag(description: string) {
  return described(
    z
      .union([z.boolean(), z.enum(["true", "false"])])
      .transform((value) => value === true || value === "true"),
    { description, expected: "true or false" },
  );
}

export const withPosition = flag(
  "The answer has the epoch, and the position of each ticker that its rows hold: a subscription that begins there misses nothing and repeats nothing.",
);

export function choice<const V extends readonly [string, ...string[]]>(values: V, description: string) {
  return described(z.enum(values), {
    description,
    expected: values.map((value) => JSON.stringify(value)).join(" or "),
  });
}

export function text(about: About) {
  return described(z.string().min(1), about);
}

/** @throws RequestError 400 naming parameter, value and what was expected. */
export function readParameters<S extends z.ZodRawShape>(
  what: string,
  schema: z.ZodObject<S>,
  given: Record<string, unknown>,
): z.output<z.ZodObject<S>> {
  // A parameter that is null asks for nothing, as in every command.
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  const names = Object.keys(schema.shape);
  const unknown = Object.keys(asked).find((name) => !names.includes(name));
  if (unknown !== undefined) throw badRequest(unknownText(what, unknown, names));
  const read = schema.safeParse(asked);
  if (read.success) return read.data;
  const name = String(read.error.issues[0]!.path[0]);
  const expected = expectations.get(innermost((schema.shape as z.core.$ZodLooseShape)[name] as z.ZodType));
  const value = Object.hasOwn(asked, name) ? `got ${show(asked[name])}` : "it is missing";
  throw badRequest(`${name}: ${value}, expected ${expected}`);
}

function innermost(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? innermost(schema.unwrap() as z.ZodType) : schema;
}

function unknownText(what: string, name: string, names: readonly string[]): string {
  const near = name.length > NAME_LENGTH_MAX ? undefined : nearest(name, names);
  const hint = near === undefined ? `expected ${names.join(", ")}` : `did you mean ${near}?`;
  return `${show(name)} is no parameter of ${what}; ${hint}`;
}
