/** A file on its way into the database. */
import { signal } from "@preact/signals";
import { type Params, request } from "../../api/request.ts";
import { isAbort, messageOf, ServerError } from "../../api/server-error.ts";
import { CONTENT_TYPES, type FilePlan, textOf } from "./file-plan.ts";
import { textParts } from "./text-parts.ts";

export interface Counts {
  rows: number;
  stored: number;
  replaced: number;
  repeated: number;
  skipped: number;
}

interface Saved extends Counts {
  warnings?: string[];
}

const PART_CHARACTERS = 4_000_000;
const TRIES_MAX = 8;
const PAUSE_MS = 1_000;
const WARNINGS_MAX = 20;
const BUSY = new Set([0, 429, 502, 503]);
const NO_COUNTS: Counts = { rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0 };

export interface Target {
  path: string;
  params: Params;
}

export class Sending {
  readonly counts = signal<Counts>(NO_COUNTS);
  readonly warnings = signal<string[]>([]);
  readonly state = signal<"waiting" | "sending" | "done" | "stopped" | "failed">("waiting");
  readonly problem = signal<string | null>(null);
  #abort = new AbortController();

  async start(file: File, plan: FilePlan, { path, params }: Target): Promise<void> {
    this.#abort = new AbortController();
    this.counts.value = NO_COUNTS;
    this.warnings.value = [];
    this.problem.value = null;
    this.state.value = "sending";
    const id = crypto.randomUUID();
    let number = 0;
    try {
      for await (const { body, firstRow } of partsOf(file, plan)) {
        await this.#send(body, { path, params, firstRow, key: `${id}-${++number}`, plan });
      }
      this.state.value = "done";
    } catch (error) {
      this.state.value = isAbort(error) ? "stopped" : "failed";
      this.problem.value = isAbort(error) ? null : messageOf(error);
    }
  }

  /** The part that is on its way may be stored or not; all before it are. */
  stop(): void {
    this.#abort.abort();
  }

  async #send(body: string | Blob, part: Part): Promise<void> {
    const { path, params, firstRow, key, plan } = part;
    const headers = { "Content-Type": CONTENT_TYPES[plan.format], "Idempotency-Key": key };
    const { signal } = this.#abort;
    for (let tries = 1; ; tries++) {
      try {
        const answer = await request(path, { method: "POST", params, body, headers, signal });
        this.#add((await answer.json()) as Saved);
        return;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (!BUSY.has(error.status) || tries === TRIES_MAX) throw toldOfPart(error, firstRow);
        // The same key: what was stored already isn't stored again.
        const pauseMs = Math.max(PAUSE_MS, 1_000 * (error.retryAfterS ?? 0));
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        signal.throwIfAborted();
      }
    }
  }

  #add(saved: Saved): void {
    const counts = { ...this.counts.value };
    for (const name of Object.keys(NO_COUNTS) as (keyof Counts)[]) counts[name] += saved[name] ?? 0;
    this.counts.value = counts;
    const warnings = new Set([...this.warnings.value, ...(saved.warnings ?? [])]);
    this.warnings.value = [...warnings].slice(0, WARNINGS_MAX);
  }
}

interface Part {
  path: string;
  params: Params;
  firstRow: number;
  key: string;
  plan: FilePlan;
}

async function* partsOf(
  file: File,
  plan: FilePlan,
): AsyncGenerator<{ body: string | Blob; firstRow: number }> {
  if (plan.format === "csv" || plan.format === "ndjson")
    yield* textParts(textOf(file, plan.isGzip), {
      ...{ hasHeader: plan.format === "csv", characters: PART_CHARACTERS },
    });
  else yield { body: file, firstRow: 1 };
}

function toldOfPart(error: ServerError, firstRow: number): ServerError {
  const told = firstRow === 1 ? "" : ` Its rows are counted from row ${firstRow} of the file on.`;
  return new ServerError(`${error.message}${told}`, error.status);
}
