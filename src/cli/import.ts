/** `stock-db-server import`: files into a running server, or straight into a database file. */
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import { openTarget } from "../storage/engines.ts";
import { readOptions } from "./flags.ts";
import { describePlan, nameOfKind, planMembers } from "./import/describe-plan.ts";
import { type ImportResult, importFiles } from "./import/import-files.ts";
import { IMPORT_HELP, type ImportOptions, parseImportOptions } from "./import/options.ts";
import type { Prepared } from "./import/prepare.ts";
import { serverTarget } from "./import/server-target.ts";
import type { TickerTally } from "./import/tally.ts";
import { fileTarget, type ImportTarget, TargetError } from "./import/target.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";
import { formatCount, silentProgress, startProgress } from "./progress.ts";

/** Tickers that have a line of their own at the end. */
const TICKER_LINES_MAX = 20;

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
    target = options.planOnly ? noTarget(options) : await targetOf(options, signal);
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

/** A plan needs none, and creates none. */
function noTarget({ target }: ImportOptions): ImportTarget {
  const name = redact("serverUrl" in target ? target.serverUrl : target.dbFile);
  return {
    name,
    knowsRequests: false,
    takesParts: false,
    async save() {
      throw new TargetError("a plan stores nothing");
    },
    close() {},
  };
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
    onPlan: (prepared) => showPlan(options, target, prepared),
    onResume: (rows) => {
      if (!options.quiet)
        console.error(`goes on after ${formatCount(rows)} rows, which an interrupted import has stored`);
    },
  });
}

/** The plan is what was asked for, or comes before the result. */
function showPlan({ planOnly, json, quiet }: ImportOptions, target: ImportTarget, prepared: Prepared): void {
  if (planOnly && json) {
    console.log(JSON.stringify({ ok: true, target: target.name, ...planMembers(prepared) }));
    return;
  }
  const lines = [...describePlan(prepared), `into ${target.name}`];
  if (planOnly) console.log(lines.join("\n"));
  else if (!quiet) console.error(lines.join("\n"));
}

function report(options: ImportOptions, target: ImportTarget, result: ImportResult, seconds: number): void {
  reportRows(result);
  const { stoppedBy } = result;
  if (stoppedBy !== null && stoppedBy !== INTERRUPTED) console.error(`import: ${stoppedBy}`);
  if (options.planOnly && stoppedBy === null) return;
  if (options.json) {
    const { files, ticker } = options;
    console.log(
      JSON.stringify({ ok: stoppedBy === null, files, ticker, target: target.name, seconds, ...result }),
    );
    return;
  }
  if (options.planOnly) return;
  const { tickers, rows } = result;
  const whose = tickers.length === 1 ? tickers[0]!.ticker : (options.ticker ?? `${tickers.length} tickers`);
  const bad = options.skipBad ? `, ${describeRows(result.rowsSkipped, "bad row")} left out` : "";
  const rate = formatCount(rows / Math.max(seconds, 0.001));
  const what = `${describeRows(rows, nameOfKind(result.kind))} of ${whose} in ${target.name}`;
  const line = `${what}: ${describeCounts(result)}${bad}; ${seconds.toFixed(1)} s, ${rate} rows/s`;
  if (tickers.length > 1) reportTickers(tickers);
  reportActions(result);
  console.log(stoppedBy === null ? line : `stopped: ${line}`);
}

function reportRows(result: ImportResult): void {
  for (const reason of result.skippedReasons) console.error(`skipped ${reason}`);
  const unnamed = result.rowsSkipped - result.skippedReasons.length;
  if (unnamed > 0) console.error(`skipped ${formatCount(unnamed)} more`);
  for (const bar of result.duplicateBars) console.error(`twice in the files: ${bar}`);
  const others = result.duplicates - result.duplicateBars.length;
  if (others > 0) console.error(`twice in the files: ${formatCount(others)} more`);
}

function reportActions({ actions, adjustedClose }: ImportResult): void {
  if (actions.rows > 0)
    console.log(`  ${describeRows(actions.rows, "corporate action")}: ${describeCounts(actions)}`);
  if (adjustedClose === null) return;
  const { largest, where } = adjustedClose;
  console.log(
    `  "Adj Close" and bars adjusted by these actions differ by at most ${(largest * 100).toPrecision(2)} % (${where})`,
  );
}

function reportTickers(tickers: readonly TickerTally[]): void {
  for (const tally of tickers.slice(0, TICKER_LINES_MAX))
    console.log(`  ${tally.ticker}: ${describeRows(tally.rows, "row")}: ${describeCounts(tally)}`);
  if (tickers.length > TICKER_LINES_MAX)
    console.log(`  and ${formatCount(tickers.length - TICKER_LINES_MAX)} tickers more, which --json tells`);
}

function describeCounts({
  stored,
  replaced,
  repeated,
  skipped,
}: Omit<TickerTally, "ticker" | "rows">): string {
  return Object.entries({ stored, replaced, repeated, skipped })
    .map(([name, count]) => `${formatCount(count)} ${name}`)
    .join(", ");
}

function describeRows(count: number, name: string): string {
  return `${formatCount(count)} ${name}${count === 1 ? "" : "s"}`;
}
