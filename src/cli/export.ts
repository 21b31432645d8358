/** `stock-db-server export`: rows of a running server or a database, into files. */
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import { openToRead } from "../storage/engines.ts";
import { kindOf, seriesLabel } from "../storage/model/kinds.ts";
import { type ExportRequest, type ExportResult, exportRows } from "./export/export-rows.ts";
import {
  EXPORT_HELP,
  type ExportOptions,
  endingOf,
  parseExportOptions,
  STANDARD_OUTPUT,
} from "./export/options.ts";
import { FolderOutput, OneFileOutput } from "./export/outputs.ts";
import { openFile, standardOutput } from "./export/sink.ts";
import { StagedPath, whyNotThere } from "./export/staged-path.ts";
import { readOptions } from "./flags.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";
import { formatCount, silentProgress, startProgress } from "./progress.ts";

/** @returns The exit code: 0 all is written, 1 it is not, 2 wrong usage, 130 interrupted. */
export async function runExport(argv: string[]): Promise<number> {
  const options = readOptions(() => parseExportOptions(argv), EXPORT_HELP);
  if (typeof options === "number") return options;
  return await runInterruptibly(async (signal) => {
    const startedAt = performance.now();
    const result: ExportResult = { parts: [], rows: 0, files: 0, absentTickers: [] };
    let stoppedBy: string | null;
    try {
      Object.assign(result, await exportTo(options, signal));
      stoppedBy = whyNotAll(result);
    } catch (error) {
      stoppedBy = signal.aborted ? INTERRUPTED : withoutSecrets(messageOf(error), options);
    }
    report(options, result, { stoppedBy, seconds: (performance.now() - startedAt) / 1_000 });
    return stoppedBy;
  });
}

/** What was written has its name only if all went well. @throws Error */
async function exportTo(options: ExportOptions, signal: AbortSignal): Promise<ExportResult> {
  const { from, to, form, isOneFile } = options;
  const isFile = isOneFile && to !== STANDARD_OUTPUT;
  const refusal = to === STANDARD_OUTPUT ? null : await whyNotThere(to, isFile, options.overwrite);
  if (refusal !== null) throw new Error(refusal);
  const source = await openToRead(from);
  if (source === null) throw new Error(`there is no database ${redact(from)}`);
  const staged = to === STANDARD_OUTPUT ? null : new StagedPath(to);
  const openOutput: ExportRequest["openOutput"] = (kind, counts, names) => {
    if (!isOneFile) return new FolderOutput(staged!.path, { kind, form, counts });
    const openSink = async () => {
      if (staged === null) return standardOutput(form.packing, signal);
      await staged.discard(); // of a try before
      return await openFile(staged.path, form.packing);
    };
    return new OneFileOutput(openSink, { kind, form, counts, names });
  };
  try {
    if (!isOneFile) await staged!.makeFolder();
    const progress = options.quiet ? silentProgress : startProgress(process.stderr);
    const canRepeat = staged !== null;
    const result = await exportRows({ ...options, source, openOutput, canRepeat, progress, signal });
    signal.throwIfAborted();
    if (result.rows > 0) await staged?.publish();
    return result;
  } finally {
    await staged?.discard();
    await source.close();
  }
}

function whyNotAll({ rows, absentTickers }: ExportResult): string | null {
  if (absentTickers.length > 0)
    return `no rows of ${absentTickers.map((name) => JSON.stringify(name)).join(", ")}`;
  return rows === 0 ? "there are no such rows, and so no file" : null;
}

interface Ending {
  stoppedBy: string | null;
  seconds: number;
}

/** Standard output may be taken by the rows. */
function report(options: ExportOptions, result: ExportResult, { stoppedBy, seconds }: Ending): void {
  const { to, form } = options;
  const from = redact(options.from);
  const print = to === STANDARD_OUTPUT ? console.error : console.log;
  const { parts, ...sums } = result;
  if (stoppedBy !== null && stoppedBy !== INTERRUPTED) console.error(`export: ${stoppedBy}`);
  if (options.json) {
    const kinds = parts.map(({ kind, part, rows, tickers }) => {
      const { part: column } = kindOf(kind);
      return { kind, ...(part === null ? {} : { [column!]: part }), rows, tickers };
    });
    const ok = stoppedBy === null;
    print(JSON.stringify({ ok, from, to, format: endingOf(form), seconds, ...sums, kinds, stoppedBy }));
    return;
  }
  if (parts.length > 1)
    for (const { kind, part, rows, tickers } of parts)
      print(`${counted(rows, seriesLabel(kind, part), "")} of ${counted(tickers, "ticker")}`);
  if (result.rows === 0) {
    print(`stopped: nothing is written to ${to}`);
    return;
  }
  const rate = formatCount(result.rows / Math.max(seconds, 0.001));
  print(
    `${counted(result.rows, "row")} of ${from} in ${counted(result.files, "file")}, ${to}; ` +
      `${seconds.toFixed(1)} s, ${rate} rows/s`,
  );
}

function counted(count: number, noun: string, plural = "s"): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : plural}`;
}

/** A driver's message may name the database as given, with its password. */
function withoutSecrets(message: string, { from }: ExportOptions): string {
  return message.replaceAll(from, redact(from));
}
