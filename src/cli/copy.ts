/** `stock-db-server copy`: copies rows between databases of any engines and verifies them. */
import { statSync } from "node:fs";
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { TransferReader } from "../storage/contract.ts";
import type { TransferTarget } from "../storage/engine.ts";
import { openTarget, openToRead } from "../storage/engines.ts";
import { kindOf, partName } from "../storage/model/kinds.ts";
import { type CopyResult, copyRows, type SeriesOutcome } from "./copy/copy-rows.ts";
import { COPY_HELP, type CopyOptions, parseCopyOptions } from "./copy/options.ts";
import { readOptions } from "./flags.ts";
import { formatCount, type Progress, silentProgress, startProgress } from "./progress.ts";

/**
 * @returns The exit code: 0 the destination has every row, 1 it has not, or the copy stopped, 2
 * wrong usage.
 */
export async function runCopy(argv: string[]): Promise<number> {
  const options = readOptions(() => parseCopyOptions(argv), COPY_HELP);
  if (typeof options === "number") return options;

  const startedAt = performance.now();
  let result: CopyResult;
  try {
    result = await copyBetween(options);
  } catch (error) {
    console.error(`copy: ${withoutSecrets(messageOf(error), options)}`);
    return 1;
  }
  return report(options, result, (performance.now() - startedAt) / 1_000) ? 0 : 1;
}

/** @throws Error One of the databases can't be opened. */
async function copyBetween(options: CopyOptions): Promise<CopyResult> {
  const { from, to } = options;
  const source = await openToRead(from);
  if (source === null) throw new Error(`there is no database ${redact(from)}`);
  let target: TransferTarget | null = null;
  let destination: TransferReader | null = null;
  try {
    if (isSameFile(from, to)) throw new Error(`${redact(from)} and ${redact(to)} are the same database`);
    if (!options.dryRun) target = await openTarget({ dbFile: to, durability: "full" });
    destination = target === null ? await openToRead(to) : await target.openTransfer();
    if (target !== null && !options.quiet) tellOfOpening(to, target);
    const progress = options.quiet ? silentProgress : startProgress(process.stderr);
    return await copyRows({
      ...options,
      source,
      destination,
      writer: target?.writer ?? null,
      progress,
      onSeries: options.list ? (outcome) => list(outcome, options.json, progress) : () => {},
    });
  } finally {
    await source.close();
    await destination?.close();
    await target?.close();
  }
}

/** What a server would log. */
function tellOfOpening(dbFile: string, { preparation, writer }: TransferTarget): void {
  for (const text of [preparation, ...(writer.takeNotes?.() ?? [])])
    if (text !== null) console.error(`${redact(dbFile)}: ${text}`);
}

/** Also by another name of it. */
function isSameFile(from: string, to: string): boolean {
  const [a, b] = [from, to].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a?.isFile() === true && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

function list(outcome: SeriesOutcome, json: boolean, progress: Progress): void {
  progress.end();
  const { series, rows, checksum, failure, ...counts } = outcome;
  const { kind, ticker, part } = series;
  if (json) {
    const named = part === null ? {} : { [kindOf(kind).part!]: part };
    console.log(JSON.stringify({ kind, ticker, ...named, rows, checksum, ...counts, failure }));
    return;
  }
  const state = failure === null ? (counts.rowsToWrite > 0 ? `${counts.rowsToWrite} new` : "same") : "FAILED";
  console.log([partName(kind, part), ticker, rows, checksum, state].join("\t"));
}

/** @returns whether all is well. */
function report(options: CopyOptions, result: CopyResult, seconds: number): boolean {
  const { failures, stoppedBy, seriesFailed } = result;
  const ok = stoppedBy === null && seriesFailed === 0 && result.rowsToWrite === 0;
  for (const failure of failures) console.error(`copy: ${failure}`);
  if (seriesFailed > failures.length)
    console.error(`copy: and ${formatCount(seriesFailed - failures.length)} more failed`);
  if (stoppedBy !== null) console.error(`copy: ${withoutSecrets(stoppedBy, options)}`);

  const from = redact(options.from);
  const to = redact(options.to);
  if (options.json) {
    const { dryRun } = options;
    const stopped = stoppedBy === null ? null : withoutSecrets(stoppedBy, options);
    console.log(JSON.stringify({ ok, from, to, dryRun, seconds, ...result, stoppedBy: stopped }));
    return ok;
  }
  const done = options.dryRun
    ? `${formatCount(result.rowsToWrite)} would be written to ${to}`
    : `${formatCount(result.rowsWritten)} written to ${to}, ${formatCount(result.seriesVerified)} series read back and equal`;
  const only = result.rowsOnlyInDestination;
  const others = only === 0 ? "" : `; ${formatCount(only)} rows that only ${to} has were left alone`;
  const rate = formatCount(result.rowsRead / Math.max(seconds, 0.001));
  const line = `${formatCount(result.rowsRead)} rows of ${from}, ${done}${others}; ${seconds.toFixed(1)} s, ${rate} rows/s`;
  console.log(stoppedBy === null && seriesFailed === 0 ? line : `not complete: ${line}`);
  return ok;
}

/** A driver's message may name the database as given, with its password. */
function withoutSecrets(message: string, { from, to }: CopyOptions): string {
  return message.replaceAll(from, redact(from)).replaceAll(to, redact(to));
}
