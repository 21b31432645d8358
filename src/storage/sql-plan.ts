/** How an engine tells the plan of a statement, for the log. */

export interface SqlPlan {
  /** Stands before the statement. The engine then tells the plan, and doesn't run the statement. */
  prefix: string;
  /** @param rows of the answer. */
  steps(rows: readonly Record<string, unknown>[]): PlanStep[];
}

interface PlanStep {
  /** 0: the last one. Those that it takes its rows from are deeper. */
  depth: number;
  /** May have values of the statement in it. */
  text: string;
  /** What the engine expects of it, in numbers; empty: it tells nothing. */
  estimate: string;
}

/** Only the beginning of a statement is looked at for its first word. */
const FIRST_CHARACTERS = 2_000;
/** Longer ones have no plan. */
const SQL_CHARACTERS_MAX = 20_000;
const READS = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:select|with)\b/i;
/** A WITH may write, and a SELECT INTO does. In doubt there is no plan. */
const MAY_WRITE = /\b(?:insert|update|delete|merge|into|create|drop|alter|truncate)\b/i;

/** Whether it is a SELECT and nothing else, as far as its words tell for certain. */
export function isPlainSelect(sql: string): boolean {
  if (sql.length > SQL_CHARACTERS_MAX) return false;
  return READS.test(sql.slice(0, FIRST_CHARACTERS)) && !MAY_WRITE.test(sql);
}
