import type { SqlPlan } from "../sql-plan.ts";

interface PlanNode {
  name: string;
  children: PlanNode[];
  extra_info: Record<string, string | string[]>;
}

const ESTIMATE = "Estimated Cardinality";

export const DUCKDB_PLAN: SqlPlan = {
  // As text it is a drawing of boxes.
  prefix: "EXPLAIN (FORMAT json)",
  steps(rows) {
    const plan = rows.find(({ explain_key }) => explain_key === "physical_plan")?.explain_value;
    const steps: ReturnType<SqlPlan["steps"]> = [];
    const add = ({ name, children, extra_info }: PlanNode, depth: number): void => {
      const { [ESTIMATE]: rowsExpected, ...info } = extra_info;
      const told = Object.entries(info).map(([key, value]) => `${key}: ${[value].flat().join(", ")}`);
      const estimate = rowsExpected === undefined ? "" : `rows=${rowsExpected}`;
      steps.push({ depth, text: [name.trim(), ...told].join("; "), estimate });
      for (const child of children) add(child, depth + 1);
    };
    for (const root of JSON.parse(String(plan)) as PlanNode[]) add(root, 0);
    return steps;
  },
};
