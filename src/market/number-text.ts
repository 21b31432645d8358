/**
 * Numbers as files write them: with a decimal point or comma, groups of thousands, a currency sign,
 * K, M or B for thousands, millions and billions. What 1,234 means depends on the file, so a form
 * is decided for all of its columns first.
 */

export type DecimalMark = "point" | "comma";

export interface NumberForm {
  decimal: DecimalMark;
  /** Whether the other mark, or an apostrophe or blank, may stand between thousands. */
  grouped: boolean;
}

export const PLAIN_FORM: NumberForm = { decimal: "point", grouped: false };

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const NO_VALUE = new Set(["", "nan", "nat", "null", "none", "na", "n/a", "#n/a", "-", "--", "\\n", "<na>"]);
const NO_VALUE_LENGTH_MAX = 4;

/** Whether a text, without blanks around it, is what files write where there is nothing. */
export function isNoValue(text: string): boolean {
  return text.length <= NO_VALUE_LENGTH_MAX && NO_VALUE.has(text.toLowerCase());
}

const CURRENCY = /^([+-]?)\s*[$€£¥₹]\s*/;
const SUFFIX = /^([+-]?[\d.,]+)\s*([kmbt])$/i;
const SUFFIX_EXPONENT: Record<string, string> = { k: "e3", m: "e6", b: "e9", t: "e12" };
/** Groups of three behind one to three digits; a group of thousands doesn't begin with 0. */
const GROUPED_COMMAS = /^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$/;
const GROUPED_POINTS = /^[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?$/;
const GROUPED_BLANKS = /^[+-]?\d{1,3}(?:[ '’\u00a0\u202f]\d{3})+(?:[.,]\d*)?$/;
const COMMA_DECIMAL = /^[+-]?(?:\d+,\d*|,\d+)(?:e[+-]?\d+)?$/i;
/** One comma or point and three digits: a fraction or thousands. */
const ONE_COMMA = /^[+-]?[1-9]\d{0,2},\d{3}$/;
const ONE_POINT = /^[+-]?[1-9]\d{0,2}\.\d{3}$/;

/** Values that mean "none" where prices are integers: the ends of 64 bits. */
const NONE_INTEGERS = new Set(["9223372036854775807", "-9223372036854775808", "18446744073709551615"]);

/** What one text tells of the decimal mark. */
type Told = "nothing" | "point" | "comma" | "doubtful comma" | "doubtful point";

function toldBy(text: string): Told {
  const bare = text.replace(CURRENCY, "$1").replace(/\s*[kmbt%]$/i, "");
  if (!/[.,]/.test(bare)) return "nothing";
  if (ONE_COMMA.test(bare)) return "doubtful comma";
  if (ONE_POINT.test(bare)) return "doubtful point";
  if (GROUPED_COMMAS.test(bare)) return "point";
  if (GROUPED_POINTS.test(bare)) return "comma";
  if (DECIMAL.test(bare)) return "point";
  if (COMMA_DECIMAL.test(bare)) return "comma";
  const lastMark = /[.,](?=\d*$)/.exec(bare)?.[0];
  if (GROUPED_BLANKS.test(bare)) return lastMark === "," ? "comma" : lastMark === "." ? "point" : "nothing";
  return "nothing";
}

/** Collects what the numbers of a file tell of their form. */
export class NumberEvidence {
  readonly #first = new Map<Told, string>();
  #grouped = false;

  add(text: string): void {
    const told = toldBy(text);
    if (told === "nothing") {
      if (GROUPED_BLANKS.test(text)) this.#grouped = true;
      return;
    }
    if (!this.#first.has(told)) this.#first.set(told, text);
    if (GROUPED_COMMAS.test(text) || GROUPED_POINTS.test(text) || GROUPED_BLANKS.test(text)) {
      if (told === "point" || told === "comma") this.#grouped = true;
    }
  }

  /**
   * @param isCommaLikely Where fields are separated by something else, so that no point is taken
   *   for a decimal one by itself.
   * @returns the form; or the two texts that contradict, or the one that leaves a doubt.
   */
  decide(
    isCommaLikely = false,
  ): { form: NumberForm; because: string | null } | { contradiction: [string, string] } | { doubt: string } {
    const [point, comma] = [this.#first.get("point"), this.#first.get("comma")];
    const [maybeComma, maybePoint] = [this.#first.get("doubtful comma"), this.#first.get("doubtful point")];
    if (point !== undefined && comma !== undefined) return { contradiction: [point, comma] };
    if (comma !== undefined)
      return {
        form: { decimal: "comma", grouped: this.#grouped || maybePoint !== undefined },
        because: comma,
      };
    if (point !== undefined)
      return {
        form: { decimal: "point", grouped: this.#grouped || maybeComma !== undefined },
        because: this.#grouped || maybeComma !== undefined ? point : null,
      };
    if (maybeComma !== undefined) return { doubt: maybeComma };
    if (isCommaLikely && maybePoint !== undefined) return { doubt: maybePoint };
    return { form: { decimal: "point", grouped: this.#grouped }, because: null };
  }
}

/** A shorter text has no integer that a double can't hold. */
const EXACT_LENGTH = 16;

export interface NumberRules {
  form: NumberForm;
  /** Power of ten that integers are multiplied by: -9 for 1e-9; null for none. */
  scale: number | null;
  isPrice: boolean;
  /** Whether prices at the ends of 64 bits stand for none; absent: they do. */
  hasNone?: boolean;
}

/**
 * @returns null for no value, NaN for what is no number; a bigint for an integer that a double
 *   can't hold.
 */
export function readNumberText(
  field: string,
  { form, scale, isPrice, hasNone = isPrice }: NumberRules,
): number | bigint | null {
  let text = field;
  if (form.decimal === "point" && DECIMAL.test(text)) {
    if (scale === null && text.length < EXACT_LENGTH) return finite(Number(text));
  } else {
    text = field.trim();
    if (isNoValue(text)) return null;
    const plain = toPlain(text, form);
    if (plain === null) return Number.NaN;
    text = plain;
  }
  if (hasNone && NONE_INTEGERS.has(text)) return null;
  if (scale !== null) text = scaled(text, scale);
  const value = Number(text);
  if (!Number.isFinite(value)) return Number.NaN;
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[+-]?\d+$/.test(text)) {
    const exact = BigInt(text);
    return BigInt.asIntN(64, exact) === exact ? exact : value;
  }
  return value;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN;
}

/**
 * Whether a number tells, as a text, that it is an integer of fixed point: no fraction, no
 * exponent.
 */
export function isWholeText(text: string): boolean {
  return /^\s*[+-]?\d+\s*$/.test(text);
}

function scaled(text: string, scale: number): string {
  const exponent = /e([+-]?\d+)$/i.exec(text);
  if (exponent === null) return `${text}e${scale}`;
  return `${text.slice(0, exponent.index)}e${Number(exponent[1]) + scale}`;
}

/** @returns the number as JavaScript writes it; null for what is no number of this form. */
function toPlain(text: string, form: NumberForm): string | null {
  const bare = text.replace(CURRENCY, "$1");
  const suffix = SUFFIX.exec(bare);
  if (suffix !== null) {
    const plain = toPlain(suffix[1]!, form);
    return plain === null ? null : plain + SUFFIX_EXPONENT[suffix[2]!.toLowerCase()]!;
  }
  if (form.decimal === "point") {
    if (DECIMAL.test(bare)) return bare;
    if (!form.grouped) return null;
    if (GROUPED_COMMAS.test(bare)) return bare.replaceAll(",", "");
    if (GROUPED_BLANKS.test(bare) && !bare.includes(",")) return bare.replace(/[ '’\u00a0\u202f]/g, "");
    return null;
  }
  if (GROUPED_POINTS.test(bare)) return bare.replaceAll(".", "").replace(",", ".");
  if (COMMA_DECIMAL.test(bare)) return bare.replace(",", ".");
  if (GROUPED_BLANKS.test(bare) && !bare.includes(".")) {
    return bare.replace(/[ '’\u00a0\u202f]/g, "").replace(",", ".");
  }
  return /^[+-]?\d+(?:e[+-]?\d+)?$/i.test(bare) ? bare : null;
}
