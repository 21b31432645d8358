/** `stock-db-server import`: CSV files into a running server, or straight into a database file. */
import { redact } from "../config/redact.ts";
import { isBars } from "../market/csv.ts";
import { messageOf } from "../protocol/message-of.ts";
import { openTarget } from "../storage/engines.ts";
import { readOptions } from "./flags.ts";
import { type ImportResult, importFiles } from "./import/import-files.ts";
import { IMPORT_HELP, type ImportOptions, parseImportOptions } from "./import/options.ts";
import { serverTarget } from "./import/server-target.ts";
import { fileTarget, type ImportTarget } from "./import/target.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";
import { formatCount, silentProgress, startProgress } from "./progress.ts";

/**
 * @returns The exit code: 0 all rows are stored, 1 the import stopped, 2 wrong usage, 130
 * interrupted.
 */
export async function runImport(argv: string[]): Promise<number> {
  const options = readOptions(() => parseImportOptions(argv), IMPORT_HELP);
  if (typeof options === "number") return options;
  return await runInterruptibly((signal) => openAndImport(options, signal));
}

/** @returns Why it stopped. */
async function openAndImport(options: ImportOptions, signal: AbortSignal): Promise<string | null> {
  let target: ImportTarget;
  try {
    target = await targetOf(options, signal);
  } catch (error) {
    console.error(`import: ${messageOf(error)}`);
    return messageOf(error);
  }
  const startedAt = performance.now();
  const result = await importInto(target, options, signal).finally(() => target.close());
  report(options, target, result, (performance.now() - startedAt) / 1_000);
  return result.stoppedBy;
}

async function targetOf({ target }: ImportOptions, signal: AbortSignal): Promise<ImportTarget> {
  if ("serverUrl" in target) return serverTarget({ url: target.serverUrl, signal });
  const { dbFile } = target;
  return fileTarget(redact(dbFile), await openTarget({ dbFile, durability: "full" }));
}

async function importInto(
  target: ImportTarget,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<ImportResult> {
  const progress = options.quiet ? silentProgress : startProgress(process.stderr);
  return await importFiles({
    ...options,
    target,
    progress,
    signal,
    onInferred: (kind) => {
      if (!options.quiet)
        console.error(`neither --interval nor --type given: the columns say ${nameOf(kind)}s`);
    },
  });
}

function report(options: ImportOptions, target: ImportTarget, result: ImportResult, seconds: number): void {
  for (const reason of result.skippedReasons) console.error(`skipped ${reason}`);
  const unnamed = result.rowsSkipped - result.skippedReasons.length;
  if (unnamed > 0) console.error(`skipped ${formatCount(unnamed)} more`);

  if (result.stoppedBy !== null && result.stoppedBy !== INTERRUPTED)
    console.error(`import: ${result.stoppedBy}`);
  if (options.json) {
    const { files, ticker } = options;
    console.log(
      JSON.stringify({
        ok: result.stoppedBy === null,
        files,
        ticker,
        target: target.name,
        seconds,
        ...result,
      }),
    );
    return;
  }
  const skipped = options.skipBad ? `, ${describeRows(result.rowsSkipped, "bad row")} left out` : "";
  const rate = formatCount(result.rowsStored / Math.max(seconds, 0.001));
  const line =
    `${describeRows(result.rowsStored, nameOf(result.kind))} of ${options.ticker} stored in ${target.name}${skipped}; ` +
    `${seconds.toFixed(1)} s, ${rate} rows/s`;
  console.log(result.stoppedBy === null ? line : `stopped: ${line}`);
}

function nameOf(kind: ImportResult["kind"]): string {
  if (kind === null) return "row";
  return isBars(kind) ? `${kind} bar` : kind;
}

function describeRows(count: number, name: string): string {
  return `${formatCount(count)} ${name}${count === 1 ? "" : "s"}`;
}
