/** One statement at a time, and what came of it. */
import { signal } from "@preact/signals";
import { request } from "../../api/request.ts";

export type Row = Record<string, unknown>;

export interface Outcome {
  columns: string[];
  rows: Row[];
  /** Those of which every value that there is is a number. */
  numbers: ReadonlySet<string>;
  ms: number;
}

export class StatementRun {
  readonly outcome = signal<Outcome | null>(null);
  readonly error = signal<unknown>(null);
  /** When it began, by `performance.now()`; null: none runs. */
  readonly since = signal<number | null>(null);
  #abort: AbortController | null = null;

  async start(sql: string): Promise<void> {
    this.cancel();
    const abort = new AbortController();
    this.#abort = abort;
    const startedAt = performance.now();
    this.since.value = startedAt;
    this.error.value = null;
    try {
      const answer = await request("v1/sql", { method: "POST", body: { sql }, signal: abort.signal });
      const rows = readRows(await answer.text());
      if (this.#abort !== abort) return;
      this.outcome.value = outcomeOf(rows, performance.now() - startedAt);
    } catch (error) {
      if (this.#abort !== abort) return;
      this.outcome.value = null;
      this.error.value = error;
    }
    this.#abort = null;
    this.since.value = null;
  }

  /** The server ends a statement whose client has hung up. */
  cancel(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.since.value = null;
  }
}

/** Outside of texts, whole numbers that a double would change become texts. */
function readRows(text: string): Row[] {
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|(?<=[:[,])-?\d{16,}(?=[,}\]])/g, (part) =>
    part.startsWith('"') || Number.isSafeInteger(Number(part)) ? part : `"${part}"`,
  );
  return (JSON.parse(exact) as { data: Row[] }).data;
}

function outcomeOf(rows: Row[], ms: number): Outcome {
  const columns = [...new Set(rows.slice(0, 1).flatMap((row) => Object.keys(row)))];
  const numbers = columns.filter(
    (name) =>
      rows.some((row) => row[name] !== null) &&
      rows.every((row) => row[name] === null || typeof row[name] === "number"),
  );
  return { columns, rows, numbers: new Set(numbers), ms };
}

/** As a file of a spreadsheet. */
export function csvOf({ columns, rows }: Outcome): string {
  const lines = [columns, ...rows.map((row) => columns.map((name) => textOf(row[name])))];
  return `${lines.map((cells) => cells.map(quoted).join(",")).join("\r\n")}\r\n`;
}

export function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
