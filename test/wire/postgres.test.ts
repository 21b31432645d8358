/** On PostgreSQL everything is answered as on SQLite, but for what PostgreSQL itself can't do. */
import { usePostgres } from "../support/postgres.ts";
import { postgresBackend } from "./backends.ts";
import type { Step } from "./transcript.ts";
import { describeTranscript } from "./transcript-tests.ts";

const DIFFERS: Record<string, string[]> = {
  "text can't hold the character NUL": ["bars-055", "bars-056", "ticks-025", "ticks-026"],
};
const differing = new Set(Object.values(DIFFERS).flat());

function differs({ id, request }: Step): boolean {
  const body = request?.body as { command?: unknown } | undefined;
  // The recorded SQL is SQLite's.
  return differing.has(id) || body?.command === "execute_sql";
}

const backend = postgresBackend(usePostgres());
for (const name of ["bars", "ticks", "errors", "http", "indicators", "other"] as const) {
  await describeTranscript(name, { backend, differs });
}
await describeTranscript("ws", { workers: 2, backend, differs });
