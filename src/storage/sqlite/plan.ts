import type { SqlPlan } from "../sql-plan.ts";

export const SQLITE_PLAN: SqlPlan = {
  prefix: "EXPLAIN QUERY PLAN",
  steps(rows) {
    const depths = new Map<unknown, number>();
    return rows.map(({ id, parent, detail }) => {
      const depth = (depths.get(parent) ?? -1) + 1;
      depths.set(id, depth);
      return { depth, text: String(detail), estimate: "" };
    });
  },
};
