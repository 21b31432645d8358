/** Decides how the stamps of a file are read: the unit of numbers, the order of dates, the zone. */
import { type DateOrder, DateOrderEvidence, ORDER_WORDS, withIsoDate } from "../../market/date-order.ts";
import { type EpochUnit, isEpochText, otherUnit, UNIT_WORDS, unitOfColumn } from "../../market/epoch-unit.ts";
import { parseCalendarDate, type StampType, TimestampError } from "../../market/timestamp.ts";
import { DoubtError } from "./doubt.ts";

export interface StampOptions {
  epoch: EpochUnit | null;
  dateOrder: DateOrder | null;
}

export interface ColumnStamps {
  unit: EpochUnit | null;
  order: DateOrder | null;
  /** For the plan. */
  text: string;
}

/** A stamp and where it stands. */
export interface SampledStamp {
  text: string;
  where: string;
}

/** What the plan says of digits that no stamp of the kind holds; nothing where there are none. */
export function describeCut(texts: readonly string[], unit: EpochUnit | null, kind: StampType): string {
  if (kind === "date") return "";
  const kept = kind === "instant" ? 6 : 0;
  if (!texts.some((text) => /[1-9]/.test(fractionOf(text, unit).slice(kept)))) return "";
  return kept === 0 ? "fractions of a second are cut off" : "digits after the microsecond are cut off";
}

function fractionOf(text: string, unit: EpochUnit | null): string {
  if (unit === null) return (FRACTION.exec(text) ?? COMPACT_DIGITS.exec(text))?.[1] ?? "";
  const [whole = "", rest = ""] = text.split(".");
  const digits = EPOCH_DIGITS[unit];
  return (digits === 0 ? "" : whole.slice(-digits).padStart(digits, "0")) + rest;
}

/** Hands out every stamp of the files, as far as they can be read again. */
export type StampSurvey = (visit: (stamp: SampledStamp) => void) => Promise<void>;

/** Digits after the second, of a text: between the parts of a date there are points, too. */
const FRACTION = /(?::\d\d|\d{6})[.,](\d+)/;
/** The same without a point. */
const COMPACT_DIGITS = /^\d{14}(\d{3,9})$/;
const EPOCH_DIGITS: Record<EpochUnit, number> = { s: 0, ms: 3, us: 6, ns: 9 };
const SCIENTIFIC = /^[+-]?\d+(?:\.\d+)?e\+?\d+$/i;
const COMPACT_LENGTHS = [8, 10, 12, 14];
/** A compact time with a fraction, with or without a point. */
const COMPACT_FRACTION = /^\d{14}(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})$/;

/** @param column In quotes. @throws DoubtError */
export async function decideStampForm(
  column: string,
  sample: readonly SampledStamp[],
  options: StampOptions,
  fromShape: DateOrder | null,
  survey: StampSurvey,
): Promise<ColumnStamps> {
  const texts = sample.map(({ text }) => text).filter((text) => text !== "");
  const wrong = texts.find((text) => SCIENTIFIC.test(text));
  if (wrong !== undefined)
    throw new DoubtError(`column ${column} has ${wrong}, a number that has lost digits: expected it in full`);
  const isEpoch = texts.length > 0 && texts.every(isEpochText);
  if (isEpoch && (options.epoch !== null || !texts.every(isCompactDate))) {
    const unit = options.epoch ?? epochUnit(column, texts);
    return { unit, order: null, text: `${UNIT_WORDS[unit]} since 1970` };
  }
  const evidence = new DateOrderEvidence();
  for (const { text, where } of sample) evidence.add(text, where);
  if (evidence.seen === 0) return { unit: null, order: options.dateOrder, text: "" };
  if (options.dateOrder !== null)
    return {
      unit: null,
      order: options.dateOrder,
      text: `dates ${ORDER_WORDS[options.dateOrder]}, as --date-order says`,
    };
  await survey(({ text, where }) => evidence.add(text, where));
  return { unit: null, ...decideOrder(column, evidence, fromShape, texts) };
}

function decideOrder(
  column: string,
  evidence: DateOrderEvidence,
  fromShape: DateOrder | null,
  texts: readonly string[],
): { order: DateOrder; text: string } {
  const { refuted } = evidence;
  const possible = evidence.possible();
  const [first] = possible;
  if (first === undefined) {
    const proofs = [...new Set([...refuted.values()].map(({ text, where }) => `${text} (${where})`))];
    const [one, other] = proofs;
    throw new DoubtError(
      `column ${column}: ${one} and ${other} have no order of day, month and year ` +
        "in common: expected one order in a file; --date-order dmy, mdy or ymd says which",
    );
  }
  if (possible.length === 1) {
    const proof = refuted.get(first === "dmy" ? "mdy" : "dmy");
    return {
      order: first,
      text: `dates ${ORDER_WORDS[first]}${proof === undefined ? "" : `, as ${proof.text} shows`}`,
    };
  }
  if (fromShape !== null && possible.includes(fromShape) && !isUnlikely(fromShape, possible, texts))
    return { order: fromShape, text: `dates ${ORDER_WORDS[fromShape]}, as files of this shape have them` };
  const words = possible.map((order) => `${ORDER_WORDS[order]} (--date-order ${order})`);
  throw new DoubtError(
    `column ${column}: dates such as ${evidence.example} may be ${words.join(" or ")}, and none of them proves it: which is it?`,
  );
}

/** Markets rest on weekends: an order that puts bars there, where another puts none, is doubted. */
function isUnlikely(order: DateOrder, possible: readonly DateOrder[], texts: readonly string[]): boolean {
  const weekends = (each: DateOrder): number =>
    texts.filter((text) => isWeekend(withIsoDate(text, each))).length;
  return weekends(order) > 0 && possible.some((other) => weekends(other) === 0);
}

function isWeekend(text: string): boolean {
  return [0, 6].includes(new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDay());
}

function isCompactDate(text: string): boolean {
  const isWhole = COMPACT_LENGTHS.includes(text.length) && /^\d+$/.test(text);
  if (!(isWhole || COMPACT_FRACTION.test(text)) || !/^(?:19|20)/.test(text)) return false;
  try {
    const date = text.slice(0, 8);
    const isTime = Number(text.slice(8, 10)) < 24 && Number(text.slice(10, 12)) < 60;
    return isTime && parseCalendarDate(date)?.replaceAll("-", "") === date;
  } catch (error) {
    if (error instanceof TimestampError) return false;
    throw error;
  }
}

function epochUnit(column: string, texts: readonly string[]): EpochUnit {
  const unit = unitOfColumn(texts);
  if (unit === null) {
    throw new DoubtError(
      `column ${column} has numbers such as ${texts[0]}, which tell no unit of time: --epoch s, ms, us or ns says it`,
    );
  }
  for (const text of texts) {
    const other = otherUnit(Number(text), unit);
    if (other === null) continue;
    throw new DoubtError(
      `column ${column} has ${UNIT_WORDS[unit]} and ${UNIT_WORDS[other]} (${text}): expected one unit; --epoch says which`,
    );
  }
  return unit;
}
