/** What the engines' look at SQL written by users has in common; each has tokens of its own. */
import { badRequest } from "../protocol/errors.ts";

export interface Token {
  /** Parameters are told apart only where their numbers matter. */
  type: "word" | "quoted" | "parameter" | "mark";
  /**
   * A word in upper case, a quoted name or text without its quotes, a parameter's number, or one
   * character.
   */
  value: string;
  start: number;
  end: number;
}

export function isWord(token: Token | null | undefined, value: string): boolean {
  return token?.type === "word" && token.value === value;
}

export function isMark(token: Token | null | undefined, value: string): boolean {
  return token?.type === "mark" && token.value === value;
}

/** Right behind the next `end`; the end of the text if there is none. */
export function after(sql: string, end: string, from: number): number {
  const found = sql.indexOf(end, from);
  return found < 0 ? sql.length : found + end.length;
}

/** @returns RequestError 400. */
export function refused(what: string, why: string): Error {
  return badRequest(`execute_sql: ${what} is not allowed: ${why}`);
}
