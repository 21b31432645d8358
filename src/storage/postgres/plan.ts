import type { SqlPlan } from "../sql-plan.ts";

/** Each deeper step is indented so far. */
const INDENT = 6;
const LINE = /^( *)(?:-> {2})?(.*?)(?: {2}\((cost=[^)]*)\))?$/;

export const POSTGRES_PLAN: SqlPlan = {
  prefix: "EXPLAIN",
  steps: (rows) =>
    rows.map((row) => {
      const [, blanks = "", text = "", estimate = ""] = LINE.exec(String(row["QUERY PLAN"])) ?? [];
      return { depth: Math.ceil(blanks.length / INDENT), text, estimate };
    }),
};
