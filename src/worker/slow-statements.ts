/** Statements of users that take longer than `--slow-request`: told in the log, with their plan. */
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { SqlRequest } from "../sql/execute.ts";
import { withoutLiterals } from "../sql/without-literals.ts";
import { isPlainSelect, type SqlPlan } from "../storage/sql-plan.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import { queryRows } from "./query-rows.ts";

/** A plan that takes longer is given up. */
const PLAN_MS = 2_000;
/** Of a line of the log. */
const SQL_CHARACTERS_MAX = 1_000;
const PLAN_CHARACTERS_MAX = 2_000;
const STEP_CHARACTERS_MAX = 300;

export interface SlowStatementsOptions {
  /** 0: none is slow. */
  limitMs: number;
  /** Null: the engine tells none. */
  plan: SqlPlan | null;
  run(request: SqlRequest): Promise<SqlAnswer>;
  log: Pick<LogLines, "warning">;
}

export class SlowStatements {
  readonly #options: SlowStatementsOptions;
  /** One at a time: a worker that is slow already has better things to do. */
  #isAsking = false;

  constructor(options: SlowStatementsOptions) {
    this.#options = options;
  }

  /** Until the first rows are there, or it was stopped. @throws what `run` throws. */
  async run(request: SqlRequest): Promise<SqlAnswer> {
    const { limitMs, run } = this.#options;
    if (limitMs === 0 || request.client === undefined) return run(request);
    const beganMs = performance.now();
    try {
      return await run(request);
    } finally {
      const ms = performance.now() - beganMs;
      if (ms > limitMs) void this.#tell(request, ms);
    }
  }

  async #tell({ sql, params, client }: SqlRequest, ms: number): Promise<void> {
    const plan = await this.#planOf({ sql, params });
    const shown = withoutLiterals(sql, SQL_CHARACTERS_MAX);
    this.#options.log.warning(`Slow: a statement of ${client} took ${Math.round(ms)} ms: ${shown}; ${plan}`);
  }

  async #planOf({ sql, params }: Pick<SqlRequest, "sql" | "params">): Promise<string> {
    const { plan, run } = this.#options;
    if (plan === null || !isPlainSelect(sql)) return "no plan, as it is no plain SELECT";
    if (this.#isAsking) return "no plan, as another is being made";
    this.#isAsking = true;
    try {
      const rows = await queryRows(
        (request) => run({ ...request, params }),
        `${plan.prefix} ${sql}`,
        PLAN_MS,
      );
      const text = plan.steps(rows).map(shownStep).join(" | ");
      return `plan: ${text.slice(0, PLAN_CHARACTERS_MAX)}${text.length > PLAN_CHARACTERS_MAX ? " …" : ""}`;
    } catch (error) {
      return `no plan: ${withoutLiterals(messageOf(error))}`;
    } finally {
      this.#isAsking = false;
    }
  }
}

/** An arrow for each step that takes its rows, further on, from this one. */
function shownStep({ depth, text, estimate }: ReturnType<SqlPlan["steps"]>[number]): string {
  const shown = withoutLiterals(text, STEP_CHARACTERS_MAX);
  return `${"> ".repeat(depth)}${shown}${estimate === "" ? "" : ` (${estimate})`}`;
}
