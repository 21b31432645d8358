/** `stock-db-server delete` and `rename`: rows of a running server or a database. */
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Removal, Renaming } from "../storage/contract.ts";
import { kindOf, seriesLabel } from "../storage/model/kinds.ts";
import { openEditTarget } from "./edits/edit-target.ts";
import {
  DELETE_HELP,
  type EditOptions,
  parseDeleteOptions,
  parseRenameOptions,
  RENAME_HELP,
} from "./edits/options.ts";
import { readOptions } from "./flags.ts";
import { formatCount } from "./progress.ts";

interface Made<E> {
  edit: E;
  rows: number;
  seq: number | null;
}

/** @returns The exit code: 0 done, 1 not all is, 2 wrong usage. */
export async function runDelete(argv: string[]): Promise<number> {
  const options = readOptions(() => parseDeleteOptions(argv), DELETE_HELP);
  if (typeof options === "number") return options;
  return await makeAll("delete", options, {
    counted: "removed",
    line: ({ edit: { ticker, kind, part }, rows }, done) =>
      `${ticker}: ${counted(rows)} of ${seriesLabel(kind, part)} ${done} deleted`,
    shown: ({ kind, part }) => ({ kind, ...(part === null ? {} : { [kindOf(kind).part!]: part }) }),
  });
}

/** @returns The exit code, as `runDelete`. */
export async function runRename(argv: string[]): Promise<number> {
  const options = readOptions(() => parseRenameOptions(argv), RENAME_HELP);
  if (typeof options === "number") return options;
  return await makeAll("rename", options, {
    counted: "renamed",
    line: ({ edit: { ticker, newTicker }, rows }, done) =>
      `${ticker}: ${counted(rows)} ${done} renamed to ${newTicker}`,
    shown: ({ newTicker }) => ({ newTicker }),
  });
}

interface Telling<E> {
  /** What the rows are called in JSON. */
  counted: "removed" | "renamed";
  line(made: Made<E>, done: string): string;
  /** Of an edit, beside its ticker. */
  shown(edit: E): object;
}

/** The first that fails is the last: those before it stay done. */
async function makeAll<E extends Removal | Renaming>(
  command: string,
  { edits, to, dryRun, json }: EditOptions<E>,
  { counted, line, shown }: Telling<E>,
): Promise<number> {
  const all: Made<E>[] = [];
  let stoppedBy: string | null = null;
  try {
    const target = await openEditTarget(to);
    try {
      for (const edit of edits) {
        const { rows, position } = await target.make(edit, dryRun);
        const made = { edit, rows, seq: position };
        all.push(made);
        if (!json) console.log(line(made, doneOf(rows, dryRun)));
      }
    } finally {
      await target.close();
    }
  } catch (error) {
    // A driver's message may name the database as given, with its password.
    stoppedBy = messageOf(error).replaceAll(to, redact(to));
    console.error(`${command}: ${stoppedBy}`);
  }
  if (json) {
    const rows = all.reduce((sum, made) => sum + made.rows, 0);
    const told = all.map(({ edit, rows, seq }) => ({
      ticker: edit.ticker,
      ...shown(edit),
      [counted]: rows,
      seq,
    }));
    console.log(
      JSON.stringify({
        ok: stoppedBy === null,
        to: redact(to),
        dryRun,
        [counted]: rows,
        edits: told,
        stoppedBy,
      }),
    );
  }
  return stoppedBy === null ? 0 : 1;
}

function counted(rows: number): string {
  return `${formatCount(rows)} row${rows === 1 ? "" : "s"}`;
}

function doneOf(rows: number, dryRun: boolean): string {
  if (dryRun) return "would be";
  return rows === 1 ? "is" : "are";
}
