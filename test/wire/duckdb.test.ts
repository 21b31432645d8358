/** On DuckDB everything is answered as on SQLite, but for SQL that is SQLite's own. */
import { DUCKDB } from "./backends.ts";
import type { Step } from "./transcript.ts";
import { describeTranscript } from "./transcript-tests.ts";

function differs({ request }: Step): boolean {
  const body = request?.body as { command?: unknown } | undefined;
  return body?.command === "execute_sql";
}

for (const name of ["bars", "ticks", "errors", "http", "indicators", "other"] as const) {
  await describeTranscript(name, { backend: DUCKDB, differs });
}
await describeTranscript("ws", { workers: 2, backend: DUCKDB, differs });
