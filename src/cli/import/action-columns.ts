/** Columns of daily bars that tell corporate actions, as Yahoo and yfinance give them. */
import { simplify } from "../../market/column-names.ts";
import { CsvError, quote, readNumberField, type SourceField } from "../../market/csv.ts";
import type { NumberRules } from "../../market/number-text.ts";

/** What the prices of a file are adjusted for; `auto`: its columns tell. */
export const ACTION_RULES = ["auto", "split", "all", "raw"] as const;
export type ActionRule = (typeof ACTION_RULES)[number];

export interface ActionColumns {
  /** Their indexes; null where there is none. */
  dividends: number | null;
  splits: number | null;
  adjustedClose: number | null;
  /** Of a fund: paid like a dividend, and no action that is known here. */
  gains: number | null;
}

/** What a row says beside its bar; zero and blank are nothing. */
export interface RowActions {
  dividend: number | null;
  split: number | null;
  adjustedClose: number | null;
  gains: number | null;
}

export function findActionColumns(names: readonly string[]): ActionColumns {
  const find = (known: string): number | null => {
    const index = names.findIndex((name) => simplify(name) === known);
    return index < 0 ? null : index;
  };
  return {
    dividends: find("dividends"),
    splits: find("stocksplits"),
    adjustedClose: find("adjclose"),
    gains: find("capitalgains"),
  };
}

/** @throws CsvError */
export function readActions(
  columns: ActionColumns,
  fields: readonly SourceField[],
  names: readonly string[],
  rules: NumberRules,
): RowActions {
  const number = (index: number | null): number | null => {
    const field = index === null ? null : fields[index];
    if (field === null || field === undefined) return null;
    const value = readNumberField(names[index!]!, field, rules);
    return value === null || Number(value) === 0 ? null : Number(value);
  };
  const dividend = number(columns.dividends);
  if (dividend !== null && dividend < 0)
    throw new CsvError(`column ${quote(names[columns.dividends!]!)}: expected 0 or more, got ${dividend}`);
  const split = columns.splits === null ? null : readRatio(columns.splits, fields, names, number);
  return { dividend, split, adjustedClose: number(columns.adjustedClose), gains: number(columns.gains) };
}

const NEW_FOR_OLD = /^\s*([\d.]+)\s*[:/]\s*([\d.]+)\s*$/;
/** No real split has more old shares for its new ones, and a ratio that isn't whole. */
const OLD_SHARES_MAX = 100;
/** Fewer digits may be all that there are. */
const ROUNDED_DIGITS_MIN = 5;

function readRatio(
  index: number,
  fields: readonly SourceField[],
  names: readonly string[],
  number: (index: number) => number | null,
): number | null {
  const [, fresh, old] = NEW_FOR_OLD.exec(String(fields[index] ?? "")) ?? [];
  const ratio = fresh === undefined ? number(index) : Number(fresh) / Number(old);
  if (ratio === null || ratio === 0) return null;
  if (!(ratio > 0) || !Number.isFinite(ratio)) {
    const got = quote(String(fields[index]));
    throw new CsvError(
      `column ${quote(names[index]!)}: expected new shares for each old one, such as 7, got ${got}`,
    );
  }
  return exactRatio(ratio);
}

/** 0.033333 is 1 for 30: prices of many splits would feel the missing digits. */
function exactRatio(ratio: number): number {
  const digits = decimalsOf(ratio);
  if (digits < ROUNDED_DIGITS_MIN) return ratio;
  for (let old = 2; old <= OLD_SHARES_MAX; old++) {
    const exact = Math.round(ratio * old) / old;
    if (exact !== ratio && exact > 0 && Math.abs(exact - ratio) <= 0.5001 * 10 ** -digits) return exact;
  }
  return ratio;
}

/** Digits after the point, as a number is written. */
export function decimalsOf(value: number): number {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  return Math.max(0, (mantissa.split(".")[1]?.length ?? 0) - Number(exponent));
}
