/**
 * Who did what: a line of JSON for each sign-in, refusal, change of keys, statement that may write,
 * deletion, renaming and restore. All processes of a server share its files, which are rotated as a
 * log is.
 */
import { quoted, UsageError } from "../config/usage-error.ts";
import { errorCode } from "./file-errors.ts";
import { LineQueue } from "./line-queue.ts";
import type { Logger } from "./log.ts";
import { besidePath, openLogFile } from "./log-file.ts";

/** Refusals of a process in one second; of more there is a count. */
const REFUSALS_PER_SECOND = 100;
/** A key that comes again from the same address after this long has signed in once more. */
const SIGN_IN_MS = 3_600_000;
const SIGN_INS_KEPT_MAX = 10_000;
/** Of a text of a client. */
const CHARACTERS_MAX = 2_000;
/** Of one of a request that was refused, of which anybody may send many. */
const REFUSED_CHARACTERS_MAX = 300;

export interface AuditEvent {
  what: "signed_in" | "refused" | "left_out" | "keys" | "sql" | "delete" | "rename" | "end" | "restore";
  /** Name of the key; "-" where none is needed, or none was known. */
  who: string;
  from: string;
  /** "ok", or the HTTP status of the refusal. */
  outcome: "ok" | number;
  [detail: string]: unknown;
}

export class AuditLog {
  readonly #done: Lines;
  readonly #refused: Lines;
  readonly #signedIn = new Map<string, number>();
  #second = 0;
  #refusals = 0;

  /** @param path `-` for standard output. @throws UsageError the file can't be opened. */
  constructor(path: string, log: Logger) {
    this.#done = path === "-" ? printed(log) : linesTo(path, log);
    // A flood of refusals must not rotate away what was done.
    this.#refused = path === "-" ? this.#done : linesTo(besidePath(path, "_refused"), log);
  }

  note(event: AuditEvent): void {
    this.#done.push(lineOf(event, CHARACTERS_MAX));
  }

  /** A flood of them must not fill the disk. */
  refused(event: Omit<AuditEvent, "what">): void {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#tellLeftOut();
      this.#second = second;
      this.#refusals = 0;
    }
    if (++this.#refusals > REFUSALS_PER_SECOND) return;
    this.#refused.push(lineOf({ ...(event as AuditEvent), what: "refused" }, REFUSED_CHARACTERS_MAX));
  }

  /** Tells it once an hour for each key and address. */
  signedIn(who: string, from: string): void {
    const now = performance.now();
    const key = `${who} ${from}`;
    const before = this.#signedIn.get(key);
    if (before !== undefined && now - before < SIGN_IN_MS) return;
    if (this.#signedIn.size >= SIGN_INS_KEPT_MAX) this.#signedIn.clear();
    this.#signedIn.set(key, now);
    this.note({ what: "signed_in", who, from, outcome: "ok" });
  }

  async close(): Promise<void> {
    this.#tellLeftOut();
    await Promise.all([this.#done.close(), this.#refused.close()]);
  }

  #tellLeftOut(): void {
    const count = this.#refusals - REFUSALS_PER_SECOND;
    const event = { what: "left_out", who: "-", from: "-", outcome: "ok", refusals: count } as const;
    if (count > 0) this.#refused.push(lineOf(event, REFUSED_CHARACTERS_MAX));
    this.#refusals = 0;
  }
}

interface Lines {
  push(line: string): void;
  close(): Promise<void>;
}

function printed(log: Logger): Lines {
  return { push: (line) => log.plain(line), close: async () => undefined };
}

/** @throws UsageError the file can't be opened. */
function linesTo(path: string, log: Logger): Lines {
  const queue = openQueue(path, log);
  const flushSync = (): void => queue.flushSync();
  process.on("exit", flushSync);
  return {
    push: (line) => queue.push(line, true),
    close: async () => {
      await queue.flush();
      process.off("exit", flushSync);
      await queue.close();
    },
  };
}

function lineOf({ what, who, from, outcome, ...details }: AuditEvent, charactersMax: number): string {
  const at = new Date().toISOString();
  const shown = Object.entries(details).map(([name, value]) => [
    name,
    // Half a character would make a line that JSON readers refuse.
    typeof value === "string" ? value.slice(0, charactersMax).toWellFormed() : value,
  ]);
  return `${JSON.stringify({ at, what, who, from, outcome, ...Object.fromEntries(shown) })}\n`;
}

function openQueue(path: string, log: Logger): LineQueue {
  try {
    return new LineQueue(openLogFile(path, { report: (problem) => log.warning(problem) }), {
      lost: (lines) => `${JSON.stringify({ at: new Date().toISOString(), what: "lost", lines })}\n`,
      failed: (error) => log.error(`lines of the audit to ${path} are being lost: ${errorCode(error)}`),
    });
  } catch (error) {
    throw new UsageError(
      `--audit-log: expected a file that can be written, or -, got ${quoted(path)}: ${errorCode(error)}`,
    );
  }
}
