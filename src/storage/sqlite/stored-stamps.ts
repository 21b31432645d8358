/**
 * SQLite compares stamps as texts, which are stored as `2024-01-02 15:00:01.000000`. So where a
 * user's statement compares a stamp of the server's tables with one in another form, such as
 * `2024-01-02T15:00:01.000000Z` as answers print it, that one is brought to the stored form.
 * DuckDB and PostgreSQL, whose columns have types, do so themselves. See DESIGN.md "Users' SQL".
 */
import { KIND_NAMES, kindOf } from "../model/kinds.ts";
import type { SqlParam } from "../user-sql-contract.ts";
import { type SqliteToken, tokens } from "./user-sql-statement.ts";

/** `offset`: as `instant`, with `+00:00` at the end. */
export type StampForm = "date" | "second" | "instant" | "offset";

const FORMS: ReadonlyMap<string, StampForm> = new Map(
  KIND_NAMES.map(kindOf).flatMap(({ table, stamp, writtenForm }): [string, StampForm][] => [
    [`${table}.${stamp.name}`, stamp.type],
    [`${table}.write_timestamp`, writtenForm === "wire" ? "instant" : "offset"],
  ]),
);
const STAMP_NAMES = new Set([...FORMS.keys()].map((column) => column.slice(column.indexOf(".") + 1)));

/** What names of columns mean in one statement. */
export class StampColumns {
  readonly #forms = new Map<string, StampForm | null>();

  /** The statement uses the column. */
  add(table: string | null, column: string | null): void {
    const name = (column ?? "").toLowerCase();
    if (!STAMP_NAMES.has(name)) return;
    const form = FORMS.get(`${(table ?? "").toLowerCase()}.${name}`) ?? null;
    const before = this.#forms.get(name);
    this.#forms.set(name, before === undefined || before === form ? form : null);
  }

  /** Undefined: it isn't the server's, or may also be one of another table. */
  formOf(name: string): StampForm | undefined {
    return this.#forms.get(name.toLowerCase()) ?? undefined;
  }

  get isEmpty(): boolean {
    return ![...this.#forms.values()].some((form) => form !== null);
  }
}

/** With seconds and their fraction, or without. */
const STAMP = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:(:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?)?$/;
const HAS_STAMP = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d/;
const MICROS_LENGTH = 6;
const COMPARISONS = new Set(["=", "==", "!=", "<>", "<", "<=", ">", ">="]);
/** Signs that take what stands beside them before a comparison does, or are one. */
const BINDING = "+-*/%|&~<>=!";
/** Before a bracket; after another word it belongs to a function. */
const WORDS_BEFORE_BRACKET = new Set("WHERE AND OR NOT ON HAVING WHEN SELECT BETWEEN THEN ELSE".split(" "));
/** These give one of the column's values. */
const CHOOSERS = new Set(["MIN", "MAX"]);
/** The end of `BETWEEN x` is looked for among so many. */
const BETWEEN_TOKENS_MAX = 64;

/** @param text the one statement. @returns it, with other texts and parameters in comparisons. */
export function withStoredStamps(text: string, params: readonly SqlParam[], columns: StampColumns): string {
  const isConcerned =
    HAS_STAMP.test(text) || params.some((param) => typeof param === "string" && HAS_STAMP.test(param));
  if (columns.isEmpty || !isConcerned) return text;
  return new Rewriting(text, params, columns).result();
}

/** Tokens from `first` to `last`. */
interface Span {
  first: number;
  last: number;
}

class Rewriting {
  readonly #text: string;
  readonly #params: readonly SqlParam[];
  readonly #columns: StampColumns;
  readonly #tokens: SqliteToken[];
  /** Texts and parameters, by first and by last token. */
  readonly #operandFrom = new Map<number, Operand>();
  readonly #operandTo = new Map<number, Operand>();
  /** New texts, by where the old one starts. */
  readonly #edits = new Map<number, { end: number; text: string }>();

  constructor(text: string, params: readonly SqlParam[], columns: StampColumns) {
    this.#text = text;
    this.#params = params;
    this.#columns = columns;
    this.#tokens = [...tokens(text)];
    this.#findOperands();
  }

  result(): string {
    for (let at = 0; at < this.#tokens.length; at++) {
      const form = this.#columnForm(at);
      if (form !== undefined) this.#rewriteBeside(this.#wholeColumn(at), form);
    }
    let text = "";
    let at = 0;
    for (const [start, { end, text: stored }] of [...this.#edits].sort(([a], [b]) => a - b)) {
      text += this.#text.slice(at, start) + stored;
      at = end;
    }
    return text + this.#text.slice(at);
  }

  /** Parameters have the numbers that SQLite gives them. */
  #findOperands(): void {
    let highest = 0;
    const named = new Map<string, number>();
    for (let at = 0; at < this.#tokens.length; at++) {
      const span = this.#parameterAt(at);
      if (span !== null) {
        const name = this.#textOf(span);
        const given = /^\?(\d+)$/.exec(name)?.[1];
        const number = given !== undefined ? Number(given) : (named.get(name) ?? highest + 1);
        if (name !== "?" && given === undefined) named.set(name, number);
        highest = Math.max(highest, number);
        this.#addOperand({ ...span, value: this.#params[number - 1], isLiteral: false });
        at = span.last;
      } else if (this.#isText(this.#tokens[at]!)) {
        this.#addOperand({ first: at, last: at, value: this.#tokens[at]!.value, isLiteral: true });
      }
    }
  }

  /** SQLite takes a quoted name for a text where there is no such name, as with a stamp. */
  #isText({ type, value, start }: SqliteToken): boolean {
    const quote = this.#text[start];
    return type === "quoted" && (quote === "'" || (quote === '"' && STAMP.test(value)));
  }

  #addOperand(operand: Operand): void {
    this.#operandFrom.set(operand.first, operand);
    this.#operandTo.set(operand.last, operand);
  }

  /** `?`, `?1`, `:name`, `@name` or `$name`. */
  #parameterAt(at: number): Span | null {
    const { type, value, start, end } = this.#tokens[at]!;
    if (type === "word") return this.#text[start] === "$" ? { first: at, last: at } : null;
    if (type !== "mark" || !"?:@".includes(value)) return null;
    const next = this.#tokens[at + 1];
    const isJoined = next?.type === "word" && next.start === end;
    return isJoined ? { first: at, last: at + 1 } : value === "?" ? { first: at, last: at } : null;
  }

  #textOf({ first, last }: Span): string {
    return this.#text.slice(this.#tokens[first]!.start, this.#tokens[last]!.end);
  }

  #columnForm(at: number): StampForm | undefined {
    const { type, value } = this.#tokens[at]!;
    // `date` before a bracket is the function.
    if (type === "mark" || this.#operandTo.has(at) || this.#isMark(at + 1, "(")) return undefined;
    return this.#columns.formOf(value);
  }

  /** With table and schema before it, and brackets, `min` or `max` around it. */
  #wholeColumn(at: number): Span {
    const span = { first: at, last: at };
    while (this.#isMark(span.first - 1, ".")) span.first -= 2;
    while (this.#isMark(span.first - 1, "(") && this.#isMark(span.last + 1, ")")) {
      const before = this.#tokens[span.first - 2];
      const isChooser = before?.type === "word" && CHOOSERS.has(before.value);
      const isPlain =
        before === undefined ||
        (before.type === "mark" ? true : this.#isWord(span.first - 2, WORDS_BEFORE_BRACKET));
      if (!isChooser && !isPlain) break;
      span.first -= isChooser ? 2 : 1;
      span.last++;
    }
    return span;
  }

  #rewriteBeside(column: Span, form: StampForm): void {
    const before = this.#comparisonBefore(column.first);
    if (before !== null) {
      const operand = this.#operandTo.get(before - 1);
      if (operand !== undefined && !this.#binds(operand.first - 1) && !this.#binds(column.last + 1))
        this.#store(operand, form);
    }
    if (this.#binds(column.first - 1)) return;
    const next = this.#comparisonAfter(column.last);
    if (next !== null) {
      this.#storeAt(next, form);
      return;
    }
    const at = this.#isWord(column.last + 1, NOT) ? column.last + 2 : column.last + 1;
    if (this.#isWord(at, BETWEEN)) this.#storeBetween(at + 1, form);
    if (this.#isWord(at, IN) && this.#isMark(at + 1, "(")) this.#storeList(at + 2, form);
  }

  /** @returns the first token behind the comparison; null: there is none. */
  #comparisonAfter(last: number): number | null {
    let at = last + 1;
    if (this.#isWord(at, IS)) {
      at++;
      if (this.#isWord(at, NOT)) at++;
      return this.#isWord(at, DISTINCT) ? at + 2 : at;
    }
    let sign = "";
    while (this.#tokens[at]?.type === "mark" && BINDING.includes(this.#tokens[at]!.value))
      sign += this.#tokens[at++]!.value;
    return COMPARISONS.has(sign) ? at : null;
  }

  /** @returns the first token of the comparison before; null: there is none. */
  #comparisonBefore(first: number): number | null {
    let at = first;
    let sign = "";
    while (this.#tokens[at - 1]?.type === "mark" && BINDING.includes(this.#tokens[at - 1]!.value))
      sign = this.#tokens[--at]!.value + sign;
    return COMPARISONS.has(sign) ? at : null;
  }

  #storeBetween(at: number, form: StampForm): void {
    this.#storeAt(at, form);
    let depth = 0;
    for (let and = at; and < at + BETWEEN_TOKENS_MAX && and < this.#tokens.length; and++) {
      if (this.#isMark(and, "(")) depth++;
      if (this.#isMark(and, ")")) depth--;
      if (depth !== 0 || !this.#isWord(and, AND)) continue;
      this.#storeAt(and + 1, form);
      return;
    }
  }

  #storeList(at: number, form: StampForm): void {
    for (let depth = 1; at < this.#tokens.length && depth > 0; at++) {
      if (this.#isMark(at, "(")) depth++;
      if (this.#isMark(at, ")")) depth--;
      const isAlone = this.#isMark(at - 1, "(") || this.#isMark(at - 1, ",");
      if (depth === 1 && isAlone) this.#storeAt(at, form);
    }
  }

  #storeAt(at: number, form: StampForm): void {
    const operand = this.#operandFrom.get(at);
    if (operand !== undefined && !this.#binds(operand.last + 1)) this.#store(operand, form);
  }

  #store(operand: Operand, form: StampForm): void {
    const stamp = typeof operand.value === "string" ? STAMP.exec(operand.value) : null;
    if (stamp === null) return;
    const { start } = this.#tokens[operand.first]!;
    const { end } = this.#tokens[operand.last]!;
    const { length, rest } = cut(stamp, form);
    const text = operand.isLiteral
      ? `'${stamp[0].slice(0, length).replace("T", " ")}${rest}'`
      : `(replace(substr(${this.#textOf(operand)}, 1, ${length}), 'T', ' ') || '${rest}')`;
    this.#edits.set(start, { end, text });
  }

  #binds(at: number): boolean {
    const token = this.#tokens[at];
    if (token === undefined) return false;
    return token.type === "mark" ? BINDING.includes(token.value) : this.#isWord(at, COLLATE);
  }

  #isMark(at: number, value: string): boolean {
    const token = this.#tokens[at];
    return token?.type === "mark" && token.value === value;
  }

  #isWord(at: number, values: ReadonlySet<string>): boolean {
    const token = this.#tokens[at];
    return token?.type === "word" && values.has(token.value);
  }
}

interface Operand extends Span {
  value: SqlParam | undefined;
  isLiteral: boolean;
}

const AND = new Set(["AND"]);
const BETWEEN = new Set(["BETWEEN"]);
const COLLATE = new Set(["COLLATE"]);
const DISTINCT = new Set(["DISTINCT"]);
const IN = new Set(["IN"]);
const IS = new Set(["IS"]);
const NOT = new Set(["NOT"]);

const DATE_LENGTH = "2024-01-02".length;
const MINUTE_LENGTH = "2024-01-02 15:00".length;
const SECOND_LENGTH = "2024-01-02 15:00:01".length;

/** So much of a stamp is kept, and the rest follows. */
function cut([, seconds, fraction = ""]: RegExpExecArray, form: StampForm): { length: number; rest: string } {
  if (form === "date") return { length: DATE_LENGTH, rest: "" };
  const micros = fraction.slice(0, MICROS_LENGTH);
  const digits = form === "second" ? micros.replace(/0+$/, "") : micros;
  const whole = seconds === undefined ? MINUTE_LENGTH : SECOND_LENGTH;
  const length = digits === "" ? whole : whole + 1 + digits.length;
  const missing = seconds === undefined ? ":00" : "";
  if (form === "second") return { length, rest: missing };
  const point = digits === "" ? "." : "";
  const zeros = "0".repeat(MICROS_LENGTH - digits.length);
  return { length, rest: `${missing}${point}${zeros}${form === "offset" ? "+00:00" : ""}` };
}
