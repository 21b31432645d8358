import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Puts in an `.env` that sets flags, and a `bunfig.toml` that runs code which leaves a trace. */
export function foreignFolder(path: string): { trace: string } {
  const trace = join(path, "trace");
  writeFileSync(join(path, ".env"), "STOCK_DB_SQL_MAX_ROWS=3\nFOREIGN=1\n");
  writeFileSync(join(path, ".env.local"), "STOCK_DB_DURABILITY=normal\n");
  writeFileSync(join(path, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
  writeFileSync(
    join(path, "foreign.ts"),
    `require("node:fs").appendFileSync(${JSON.stringify(trace)}, process.argv.join(" ") + "\\n");`,
  );
  return { trace };
}
